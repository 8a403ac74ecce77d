"""What the best configurations are worth untrained, and as an ensemble of their folds' models."""

import math

import pandas as pd

from analysis.intervals import mean_intervals
from analysis.leaderboard import best_runs, metric
from analysis.metric_names import in_phase
from analysis.tables import RAW, StudyTables


def raw_quality(tables: StudyTables) -> float:
    """Test quality of groups that are the mean of their raw points; NaN where it was not read."""
    read = metric(tables, in_phase(tables.quality_name, "test"))
    return float(read.get(RAW, math.nan))


def training_gain(tables: StudyTables) -> pd.DataFrame:
    """The best trial of each combination on the test points: trained, untrained, as an ensemble.

    An untrained twin has the weights that the confirmation of its seed began with, so the two are
    compared as a pair. The models of the folds were trained on fewer points each.

    Returns:
        Columns: ``combination``, in the order of the leaderboard; ``n``, pairs; ``trained``,
        ``untrained`` and ``gain``, the first minus the second, means over seeds with their 95%
        t-intervals in ``*_low`` and ``*_high``; ``separate``, the mean of the models of the folds;
        ``concatenated``, their embeddings side by side. NaN where it was not read. Combinations
        without an untrained twin are left out.
    """
    test = metric(tables, in_phase(tables.quality_name, "test"))
    together = metric(tables, in_phase(tables.quality_name, "concatenated"))
    pairs = _pairs(tables, test)
    means = mean_intervals(pairs, ["combination"], ["trained", "untrained", "gain"])
    ensembles = best_runs(tables, "ensemble")[["combination", "key"]]
    ensembles["separate"] = ensembles["key"].map(test).astype(float)
    ensembles["concatenated"] = ensembles.pop("key").map(together).astype(float)
    return means.merge(ensembles, how="left")


def _pairs(tables: StudyTables, test: pd.Series) -> pd.DataFrame:
    """Test quality of the best trials by combination and seed, trained and not."""
    quality = {}
    for phase in ("untrained", "confirmation"):
        rows = best_runs(tables, phase)
        values = rows["key"].map(test).astype(float)
        quality[phase] = values.set_axis(pd.MultiIndex.from_frame(rows[["combination", "seed"]]))
    pairs = quality["untrained"].rename("untrained").to_frame()
    pairs["trained"] = quality["confirmation"].reindex(pairs.index)
    pairs["gain"] = pairs["trained"] - pairs["untrained"]
    return pairs.reset_index()
