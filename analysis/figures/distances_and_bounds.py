"""Whether measured distances respect the bounds, and how close they come."""

from math import ceil
from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis import drawing
from analysis.bound_gap import best_pairs, pair_gaps
from analysis.metric_names import BOUNDS, size_of
from analysis.tables import StudyTables

SHOWN = 150
COLUMNS = 4
CAPTION = (
    "Each dot is a pair of same-class groups of a combination's best trial, over all validation "
    "folds: its measured distance, and what each bound allows. Dots on the diagonal meet their "
    "bound; a violation would lie below it and is drawn as a black cross. Both axes are divided by "
    f"the mean distance of different-class points. Per combination and bound at most {SHOWN} "
    "evenly spread pairs are drawn, and every violation; the counts are over all pairs."
)
BOUND_LOOKS = dict(zip(BOUNDS, drawing.looks(tuple(BOUNDS)).values(), strict=True))


class DistancesAndBounds(NamedTuple):
    """Pairs of same-class groups at the selected group size.

    ``pairs`` has the columns ``combination``, ``bound``, ``distance`` and ``value`` (both in units
    of the mean different-class distance) and ``is_violated``.
    """

    size: int | None
    combinations: tuple[str, ...]
    pairs: pd.DataFrame


def data(tables: StudyTables) -> DistancesAndBounds:
    """Distance and bounds of the pairs of each best trial, at the size of the selected gap."""
    measured = best_pairs(tables)
    size = size_of(tables.gap_name)
    measured = measured[(measured["phase"] == "search") & (measured["size"] == size)]
    # Points that all coincide have no scale to measure a distance in.
    gaps = pair_gaps(measured[measured["scale"] > 0])
    gaps["distance"] /= gaps["scale"]
    gaps["value"] /= gaps["scale"]
    bounded = set(gaps["combination"])
    order = tuple(measured["combination"].unique())
    return DistancesAndBounds(
        size=size,
        combinations=tuple(name for name in order if name in bounded),
        pairs=gaps[["combination", "bound", "distance", "value", "is_violated"]],
    )


def title(data: DistancesAndBounds) -> str:
    """Counts the violations."""
    if data.pairs.empty:
        return "Distances of same-class groups against their bounds"
    violations = int(data.pairs["is_violated"].sum())
    count = f"{len(data.pairs):,}".replace(",", " ")
    if violations:
        return f"{violations} of {count} distances of same-class groups exceed their bound"
    return f"All {count} comparisons of same-class groups of {data.size} respect their bound"


def draw(data: DistancesAndBounds) -> Figure:
    """One panel per combination, one colour per bound, the diagonal in all."""
    if data.pairs.empty:
        return drawing.missing(title(data), "no best trial has recorded pairs with a bound yet")
    columns = min(COLUMNS, len(data.combinations))
    rows = ceil(len(data.combinations) / columns)
    figure = drawing.sheet(title(data), 1.6 + 1.9 * rows)
    axes = drawing.panels(figure, rows, columns, sharex=True, sharey=True)
    axes[0].set_xlim(left=0, right=1.05 * data.pairs["distance"].max() or 1)
    axes[0].set_ylim(min(0, data.pairs["value"].min()), 1.05 * data.pairs["value"].max() or 1)
    of_combination = data.pairs.groupby("combination")
    for ax, name in zip(axes, data.combinations, strict=False):
        _draw_pairs(ax, of_combination.get_group(name))
        ax.set_title(drawing.label(name, 30), loc="left", fontsize=8)
    for ax in axes[len(data.combinations) :]:
        ax.set_axis_off()
    for ax in axes[: len(data.combinations)][-columns:]:
        ax.tick_params(labelbottom=True)
    figure.supxlabel(
        "distance of two same-class groups (units of different-class distance)", size=9
    )
    figure.supylabel("bound (same units)", size=9)
    drawing.legend(figure, [drawing.entry(BOUNDS[b], BOUND_LOOKS[b]) for b in reversed(BOUNDS)])
    return figure


def _draw_pairs(ax: Axes, pairs: pd.DataFrame) -> None:
    for bound, look in BOUND_LOOKS.items():
        drawn = pairs[pairs["bound"] == bound].sort_values("distance")
        drawn = drawn.iloc[:: ceil(len(drawn) / SHOWN) or 1]
        ax.plot(drawn["distance"], drawn["value"], ".", color=look.colour, alpha=0.6, ms=5, mew=0)
    violated = pairs[pairs["is_violated"]]
    ax.plot(violated["distance"], violated["value"], "x", color="black", ms=5)
    ax.axline((0, 0), slope=1, color=drawing.INK, linewidth=0.9)
