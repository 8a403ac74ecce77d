"""Margin m*, distance, tightest bound and certified share of the best trials, by group size."""

import pandas as pd

from analysis.intervals import mean_intervals
from analysis.leaderboard import best_runs
from analysis.tables import StudyTables

QUANTITIES = ["m_star", "distance", "best", "best_gap", "best_tightness", "certified"]
IN_SCALES = ["m_star", "distance", "best", "best_gap"]


def margin_by_size(tables: StudyTables) -> pd.DataFrame:
    """What the theory says of the best trial of each combination, trained on fresh seeds.

    Means are over all pairs of groups that an evaluation made, on the test points. Lengths are in
    units of the mean distance of different-class points, so that combinations can be compared.

    Returns:
        Ordered by combination, best first, and size. Columns: ``combination``; ``size``, points per
        group; ``n``, seeds; ``m_star``; ``distance`` of two groups of one class; ``best``, the
        tightest bound on it, and ``best_gap``, their difference; ``best_tightness``, distance by
        bound; ``certified``, the share of groups whose retrieval is proved to be free of errors;
        each with its 95% t-interval in ``*_low`` and ``*_high``, NaN for a single seed. What only
        covered aggregators have is NaN for others.
    """
    runs = best_runs(tables, "confirmation")[["combination", "key"]]
    values = runs.merge(_by_size(tables), on="key")
    order = {name: place for place, name in enumerate(values["combination"].unique())}
    ordered = values.sort_values(
        ["combination", "size"],
        key=lambda column: column.map(order) if column.name == "combination" else column,
    )
    return mean_intervals(ordered, ["combination", "size"], QUANTITIES)


def _by_size(tables: StudyTables) -> pd.DataFrame:
    """One row per trial and group size, a column for each quantity, lengths in scales."""
    # There are many trials, and few names.
    known = pd.Series(tables.metrics["name"].unique(), dtype=str)
    names = known.str.extract(r"^bound/(?P<quantity>\w+)\.size(?P<size>\d+)$").assign(name=known)
    names = names[names["quantity"].isin([*QUANTITIES, "scale"])].astype({"size": int})
    rows = tables.metrics.merge(names, on="name")
    wide = rows.pivot(index=["key", "size"], columns="quantity", values="value")
    wide = wide.reindex(columns=[*QUANTITIES, "scale"])
    wide[IN_SCALES] = wide[IN_SCALES].div(wide["scale"], axis=0)
    return wide.rename_axis(columns=None).reset_index()
