"""The ranking of combinations: what the report's first table and the terminal's summary show."""

import pandas as pd

from analysis.intervals import mean_intervals
from analysis.metric_names import beside, bound_of, in_phase
from analysis.tables import StudyTables

STATES = ["complete", "pruned", "failed", "running"]


def complete_trials(tables: StudyTables) -> pd.DataFrame:
    """Rows of the search phase that can be ranked: complete, with a quality."""
    trials = tables.trials
    return trials[
        (trials["phase"] == "search") & (trials["state"] == "complete") & trials["quality"].notna()
    ]


def best_trials(tables: StudyTables) -> pd.DataFrame:
    """The complete trial of highest quality of each combination, best combination first.

    Equal qualities are ordered by combination, then by trial number, so that a ranking is stable.
    """
    ordered = complete_trials(tables).sort_values(
        ["quality", "combination", "number"], ascending=[False, True, True], kind="stable"
    )
    return ordered.drop_duplicates("combination").reset_index(drop=True)


def best_runs(tables: StudyTables, *phases: str) -> pd.DataFrame:
    """Complete trials of these phases: those of each combination's best trial, best first."""
    trials = tables.trials
    wanted = trials[trials["phase"].isin(phases) & (trials["state"] == "complete")]
    return best_trials(tables)[["combination", "number"]].merge(wanted)


def metric(tables: StudyTables, name: str) -> pd.Series:
    """Values of one metric by the key of its trial."""
    metrics = tables.metrics
    return metrics[metrics["name"] == name].set_index("key")["value"]


def confirmations(tables: StudyTables) -> pd.DataFrame:
    """Test quality of every confirmed configuration over its fresh seeds, best first.

    Returns:
        Columns: ``combination``; ``number``, the confirmed trial; ``n``, complete confirmations;
        ``test_quality``, their mean selection metric on the test classes; ``test_quality_low`` and
        ``test_quality_high``, its 95% t-interval, and ``test_quality_deviation``, that of the
        seeds; NaN for a single one.
    """
    trials = tables.trials
    confirmed = trials[(trials["phase"] == "confirmation") & (trials["state"] == "complete")]
    quality = confirmed["key"].map(metric(tables, in_phase(tables.quality_name, "test")))
    measured = confirmed.assign(test_quality=quality.astype(float)).dropna(subset="test_quality")
    means = mean_intervals(measured, ["combination", "number"], ["test_quality"])
    return means.sort_values("test_quality", ascending=False, ignore_index=True)


def leaderboard(tables: StudyTables) -> pd.DataFrame:
    """Every combination by the quality of its best trial, best first.

    Only complete trials of the search phase are ranked. Combinations without one follow, by name,
    with no rank. Bound quantities belong to the bound and group size of ``tables.gap_name`` and are
    NaN for uncovered aggregators.

    Returns:
        Columns: ``rank``, from 1; ``combination``, ``encoder``, ``aggregator``, ``loss``;
        ``is_covered``, by the theorem; ``key`` and ``number`` of the best trial; ``quality``, its
        selection metric; ``relative_gap`` and ``tightness``, dimensionless; ``m_star``, embedding
        units; ``relative_m_star``, in units of the mean distance of different-class points;
        ``complete``, ``pruned``, ``failed``, ``running``, trials; ``confirmations``, seeds, and
        ``test_quality``, ``test_quality_low``, ``test_quality_high``, ``test_quality_deviation`` of
        the best trial.
    """
    search = tables.trials[tables.trials["phase"] == "search"]
    parts = ["combination", "encoder", "aggregator", "loss", "coverage"]
    board = search[parts].drop_duplicates("combination").sort_values("combination")
    board.insert(4, "is_covered", board.pop("coverage") == "covered")
    for frame in (_measured(tables), _counts(search)):
        board = board.merge(frame, how="left", on="combination")
    confirmed = confirmations(tables).rename(columns={"n": "confirmations"})
    board = board.merge(confirmed, how="left", on=["combination", "number"])
    board = board.sort_values("quality", ascending=False, kind="stable", ignore_index=True)
    ranks = pd.Series(range(1, len(board) + 1), dtype="Int64").where(board["quality"].notna())
    board.insert(0, "rank", ranks)
    return board.astype({"number": "Int64", "confirmations": "Int64"})


def _measured(tables: StudyTables) -> pd.DataFrame:
    best = best_trials(tables)[["combination", "key", "number", "quality", "relative_gap"]]
    gap = tables.gap_name
    quantities = {"tightness": f"{bound_of(gap)}_tightness", "m_star": "m_star", "scale": "scale"}
    for column, quantity in quantities.items():
        best[column] = best["key"].map(metric(tables, beside(gap, quantity))).astype(float)
    best["relative_m_star"] = best["m_star"] / best.pop("scale")
    return best


def _counts(search: pd.DataFrame) -> pd.DataFrame:
    counts = search.groupby(["combination", "state"]).size().unstack(fill_value=0)
    return counts.reindex(columns=STATES, fill_value=0).reset_index()
