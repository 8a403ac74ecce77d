"""What the best configurations are worth untrained, and as an ensemble of their folds' models."""

import math

import pandas as pd

from analysis.intervals import mean_intervals
from analysis.leaderboard import best_trials, metric
from analysis.metric_names import in_phase
from analysis.tables import StudyTables

RAW = "identity+mean+untrained"
"""Label, and key, of the trial that reads the mean of the points themselves."""


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
    best = best_trials(tables)
    ensemble = best["key"] + "-ensemble"
    read = pd.DataFrame(
        {
            "combination": best["combination"],
            "separate": ensemble.map(test).astype(float),
            "concatenated": ensemble.map(together).astype(float),
        }
    )
    return read[["combination"]].merge(means).merge(read)


def _pairs(tables: StudyTables, test: pd.Series) -> pd.DataFrame:
    """Test quality of the best trials by combination and seed, trained and not."""
    best = best_trials(tables)[["combination", "number"]]
    quality = {}
    for phase in ("confirmation", "untrained"):
        rows = tables.trials[tables.trials["phase"] == phase].merge(best)
        values = rows["key"].map(test).astype(float)
        quality[phase] = values.set_axis(pd.MultiIndex.from_frame(rows[["combination", "seed"]]))
    pairs = pd.DataFrame({"trained": quality["confirmation"], "untrained": quality["untrained"]})
    pairs["gain"] = pairs["trained"] - pairs["untrained"]
    return pairs.dropna(subset="untrained").reset_index()
