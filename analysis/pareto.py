"""Which trials are best when both quality and gap matter."""

import pandas as pd


def pareto_front(trials: pd.DataFrame) -> pd.DataFrame:
    """The trials that no other trial beats: quality up, relative gap down.

    A trial is beaten by one that is at least as good in both and better in one; equal trials do not
    beat each other, so ties stay together. Trials where either value is NaN are left out.

    Args:
        trials: any rows with the columns ``quality`` and ``relative_gap``.

    Returns:
        The rows of the front with their index, highest quality first.
    """
    known = trials.dropna(subset=["quality", "relative_gap"])
    ordered = known.sort_values(["quality", "relative_gap"], ascending=[False, True], kind="stable")
    smallest_in_quality = ordered.groupby("quality")["relative_gap"].transform("min")
    smallest_above = ordered["relative_gap"].cummin().shift(fill_value=float("inf"))
    smallest_above = smallest_above.groupby(ordered["quality"]).transform("first")
    gap = ordered["relative_gap"]
    return ordered[(gap == smallest_in_quality) & (gap < smallest_above)]
