"""Whether larger groups come closer to the bounds."""

from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from analysis import drawing
from analysis.leaderboard import best_trials
from analysis.metric_names import BOUNDS, bound_of, size_of
from analysis.tables import StudyTables

CAPTION = (
    "Relative gap of the best trial of each combination against the number of points per group, "
    "one panel per bound; each panel has its own vertical scale. To m*, T4 adds a mean over the "
    "members of their distances to the nearest point of another class, T1′ adds the largest "
    "distance D to a group of another class, and T1 is twice the larger of m* and D, so that "
    "T4 ≤ T1′ ≤ T1. Means over validation folds; uncovered aggregators have no bound and no line."
)


class GapByGroupSize(NamedTuple):
    """Relative gaps of best trials.

    ``gaps`` has the columns ``combination``, ``bound``, ``size`` (points per group) and
    ``relative_gap``, in order of size; ``combinations`` have a complete trial, best first.
    """

    combinations: tuple[str, ...]
    gaps: pd.DataFrame


def data(tables: StudyTables) -> GapByGroupSize:
    """Relative gap of each bound at each group size, of the best trial of each combination."""
    best = best_trials(tables)
    is_gap = tables.metrics["name"].str.match(r"bound/.*_relative_gap\.size\d+$")
    gaps = best[["key", "combination"]].merge(tables.metrics[is_gap], on="key")
    gaps = gaps.dropna(subset="value").rename(columns={"value": "relative_gap"})
    gaps["bound"] = [bound_of(name) for name in gaps["name"]]
    gaps = gaps[gaps["bound"].isin(BOUNDS)].copy()
    gaps["size"] = [size_of(name) for name in gaps["name"]]
    gaps = gaps.sort_values(["bound", "size"], kind="stable", ignore_index=True)
    columns = ["combination", "bound", "size", "relative_gap"]
    return GapByGroupSize(tuple(best["combination"]), gaps[columns])


def title(data: GapByGroupSize) -> str:
    """Counts the combinations whose tightest gap shrinks from the smallest to the largest group."""
    tightest = data.gaps[data.gaps["bound"] == next(iter(BOUNDS))]
    ends = tightest.groupby("combination")["relative_gap"].agg(["first", "last", "size"])
    ends = ends[ends["size"] > 1]
    if ends.empty:
        return "Relative gap against group size"
    shrinking = int((ends["last"] < ends["first"]).sum())
    smallest, largest = tightest["size"].min(), tightest["size"].max()
    return (
        f"From groups of {smallest} to groups of {largest} points the T4 gap shrinks for "
        f"{shrinking} of {len(ends)} combinations"
    )


def draw(data: GapByGroupSize) -> Figure:
    """One panel per bound, one line per combination."""
    if data.gaps.empty:
        return drawing.missing(title(data), "no best trial has a recorded bound yet")
    looks = drawing.looks(data.combinations)
    shown = set(data.gaps["combination"])
    figure = drawing.combinations_sheet(title(data), shown, 3.4)
    axes = drawing.panels(figure, 1, len(BOUNDS), sharex=True)
    for ax, (bound, symbol) in zip(axes, BOUNDS.items(), strict=True):
        for name, line in data.gaps[data.gaps["bound"] == bound].groupby("combination"):
            colour, marker, style = looks[str(name)]
            ax.plot(
                line["size"], line["relative_gap"], style, marker=marker, color=colour, lw=1.4, ms=4
            )
        ax.set_title(f"Gap to {symbol}", loc="left", fontsize=9.5)
        _mark_sizes(ax, sorted(set(data.gaps["size"])))
    axes[0].set_ylabel("relative gap (units of different-class distance)")
    drawing.combinations_legend(figure, looks, shown, line=True)
    return figure


def _mark_sizes(ax: Axes, sizes: list[int]) -> None:
    ax.set_xscale("log", base=2)
    ax.set_xticks(sizes, [str(size) for size in sizes])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("points per group")
