"""How close measured distances of same-class groups come to what the theorem allows."""

import pandas as pd

from analysis.intervals import mean_intervals
from analysis.leaderboard import best_runs
from analysis.metric_names import BOUNDS
from analysis.tables import StudyTables

QUANTITIES = ["distance", "value", "gap", "relative_gap", "tightness"]
PHASES = ["search", "confirmation"]
TOLERANCE = 1e-9
"""Rounding that a bound may be missed by, in units of the scale."""


def best_pairs(tables: StudyTables) -> pd.DataFrame:
    """Pairs of same-class groups of each combination's best trial and of its confirmations.

    Returns:
        Columns of the table of bounds, with ``combination`` and ``phase`` of the trial in front;
        best combination first.
    """
    runs = best_runs(tables, *PHASES)
    return runs[["combination", "phase", "key"]].merge(tables.bounds, on="key")


def pair_gaps(pairs: pd.DataFrame) -> pd.DataFrame:
    """One row per pair of groups and bound; pairs that a bound does not cover are left out.

    Args:
        pairs: rows of the table of bounds, other columns welcome.

    Returns:
        Columns of ``pairs`` without the bounds, and ``bound``, its name; ``value``, the bound, and
        ``gap``, bound minus distance, in embedding units; ``relative_gap``, gap / scale, and
        ``tightness``, distance / bound, dimensionless, 1 where both are 0; ``is_violated``,
        whether the distance exceeds the bound by more than rounding.
    """
    kept = [column for column in pairs.columns if column not in BOUNDS]
    gaps = pairs.melt(kept, list(BOUNDS), var_name="bound").dropna(subset="value")
    gaps["gap"] = gaps["value"] - gaps["distance"]
    gaps["relative_gap"] = gaps["gap"] / gaps["scale"]
    gaps["tightness"] = (gaps["distance"] / gaps["value"]).mask(gaps["gap"] == 0, 1.0)
    gaps["is_violated"] = gaps["gap"] < -TOLERANCE * gaps["scale"]
    return gaps


def bound_gap(tables: StudyTables) -> pd.DataFrame:
    """Distances, bounds and gaps of each combination's best trial, by phase, group size and bound.

    Pairs are averaged within a repeat first: a fold in the search phase, a seed in the
    confirmations. Intervals are over repeats. Folds share training points, so their interval is
    narrower than that of fresh data; the interval over confirmations describes fresh seeds.

    Returns:
        Ordered by combination, best first, phase, bound, tightest first, and size. Columns:
        ``combination``; ``phase``; ``size``, points per group; ``bound``;
        ``n``, repeats; ``distance`` of two same-class groups, ``value`` of the bound and ``gap``
        between them, embedding units; ``relative_gap`` and ``tightness``, dimensionless; each of
        these five with ``_low`` and ``_high``, its 95% t-interval, NaN for a single repeat;
        ``pairs`` and ``violations``, counts over all repeats.
    """
    pairs = best_pairs(tables)
    gaps = pair_gaps(pairs)
    cell = ["combination", "phase", "size", "bound"]
    repeats = gaps.groupby([*cell, "key", "fold"], sort=False)[QUANTITIES].mean().reset_index()
    means = mean_intervals(repeats, cell, QUANTITIES)
    counts = gaps.groupby(cell)["is_violated"].agg(pairs="size", violations="sum").reset_index()
    return _ordered(means.merge(counts, on=cell), list(pairs["combination"].unique()))


def _ordered(rows: pd.DataFrame, combinations: list[str]) -> pd.DataFrame:
    order = {
        "combination": combinations,
        "phase": PHASES,
        "bound": list(BOUNDS),
    }
    places = {column: rows[column].map(values.index) for column, values in order.items()}
    by_place = rows.assign(**places).sort_values([*order, "size"])
    return rows.loc[by_place.index].reset_index(drop=True)
