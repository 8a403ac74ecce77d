"""Several studies side by side: how each combination does in each of them."""

from collections.abc import Sequence

import pandas as pd

from analysis.leaderboard import leaderboard
from analysis.tables import StudyTables


def comparison(studies: Sequence[StudyTables]) -> pd.DataFrame:
    """Every combination of any study, that of the highest quality in any study first.

    Combinations without a complete trial come last, by name. Qualities of studies that select by
    different metrics can be compared down a column, and not across.

    Args:
        studies: tables of studies with different names.

    Returns:
        Columns: ``combination``; for each study ``<name>/quality``, the selection metric of its
        best trial, and ``<name>/gap``, the relative gap of that trial, dimensionless; NaN where the
        study has neither.
    """
    board = pd.DataFrame({"combination": pd.Series(dtype=object)})
    for study in studies:
        columns = {"quality": f"{study.name}/quality", "relative_gap": f"{study.name}/gap"}
        ranked = leaderboard(study)[["combination", *columns]].rename(columns=columns)
        board = board.merge(ranked, how="outer", on="combination")
    best = board[[f"{study.name}/quality" for study in studies]].max(axis=1)
    order = board.assign(best=best).sort_values(
        ["best", "combination"], ascending=[False, True], ignore_index=True
    )
    return order.drop(columns="best")


def differing_metrics(studies: Sequence[StudyTables]) -> dict[str, list[str]]:
    """Studies by the metric they select by and the gap they report, where these differ.

    Returns:
        Names of studies by metric; empty if all studies use the same two metrics.
    """
    found: dict[str, list[str]] = {}
    for of_kind in ("quality_name", "gap_name"):
        by_metric: dict[str, list[str]] = {}
        for study in studies:
            by_metric.setdefault(getattr(study, of_kind), []).append(study.name)
        if len(by_metric) > 1:
            found |= by_metric
    return found
