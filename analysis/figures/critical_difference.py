"""Which combinations rank higher on test data, and which cannot be told apart."""

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis import across_studies, drawing
from analysis.leaderboard import best_trials
from analysis.ranking import mean_ranks, runs
from analysis.significance import are_different, obstacle, pairs, repeated_qualities
from analysis.tables import StudyTables

CAPTION = (
    "Mean rank of each confirmed combination by test quality, 1 for the best, over the seeds on "
    "which all of them are confirmed. A bar joins neighbours of which no two are shown to differ: "
    "within a study by the paired tests above, all corrected together. Two that no bar joins need "
    "not differ; the table tells. Not to be told apart is not to be equal: few seeds tell little."
)
BAR, LINE = 0.32, 1.8
"""Distance of two bars in rows, and width of lines in points."""


class CriticalDifference(NamedTuple):
    """Mean ranks by combination, best first, over ``repeats``: seeds or studies.

    ``together`` are runs of combinations that are not told apart, and ``rivals`` those that are not
    told from the first; ``distance`` is the difference in mean rank that tells two of them apart,
    where there is one for all; ``combinations`` give the colours; ``missing`` says why there are no
    ranks.
    """

    over: str
    repeats: int
    combinations: tuple[str, ...]
    mean_ranks: pd.Series
    together: list[tuple[str, ...]]
    rivals: int
    distance: float | None
    missing: str


def data(tables: StudyTables) -> CriticalDifference:
    """Ranks over the seeds of one study."""
    qualities = repeated_qualities(tables)
    shared = qualities.dropna()
    missing = obstacle(shared)
    ranks = mean_ranks(shared)
    different = set() if missing else are_different(pairs(qualities))
    order = list(ranks.index)
    return CriticalDifference(
        over="seeds",
        repeats=len(shared),
        combinations=tuple(best_trials(tables)["combination"]),
        mean_ranks=ranks,
        together=runs(order, lambda *names: frozenset(names) in different),
        rivals=sum(frozenset({order[0], name}) not in different for name in order[1:]),
        distance=None,
        missing=missing,
    )


def data_across(studies: Sequence[StudyTables]) -> CriticalDifference:
    """Ranks over several studies, told apart by Nemenyi's test.

    Args:
        studies: of different data sets, with the same combinations.
    """
    qualities = across_studies.confirmed_qualities(studies)
    missing = across_studies.obstacle(qualities)
    found = None if missing else across_studies.across_studies(qualities)
    ranks = found.mean_ranks if found else mean_ranks(qualities)
    first = next((run for run in found.together if run[0] == ranks.index[0]), ()) if found else ()
    return CriticalDifference(
        over="studies",
        repeats=len(studies),
        combinations=tuple(ranks.index),
        mean_ranks=ranks,
        together=found.together if found else [],
        rivals=max(0, len(first) - 1),
        distance=found.critical_difference if found else None,
        missing=missing,
    )


def title(data: CriticalDifference) -> str:
    """Says who ranks first and how many the tests cannot tell from it."""
    if data.missing:
        return "Mean ranks on test data"
    others = {0: "all others are", 1: "another one is not"}.get(
        data.rivals, f"{data.rivals} others are not"
    )
    return (
        f"{data.mean_ranks.index[0]} ranks first on test data over {data.repeats} {data.over}; "
        f"{others} told apart from it"
    )


def draw(data: CriticalDifference) -> Figure:
    """An axis of mean ranks above, a line from each name up to its rank, bars in between."""
    if data.missing:
        return drawing.missing(title(data), data.missing)
    names = list(data.mean_ranks.index)
    figure = drawing.rows_sheet(title(data), names)
    figure.set_figheight(figure.get_figheight() + 0.15 * len(data.together))
    (ax,) = drawing.panels(figure, 1, 1)
    looks = drawing.looks(data.combinations)
    top = -0.9 - BAR * len(data.together)
    for row, (name, rank) in enumerate(data.mean_ranks.items()):
        look = looks[str(name)]
        ax.plot([0, rank, rank], [row, row, top], look.line, color=look.colour, lw=LINE / 2)
        ax.plot([rank], [top], look.marker, color=look.colour, ms=6, mec="white", clip_on=False)
    for place, run in enumerate(data.together):
        ranks = data.mean_ranks[list(run)]
        _draw_bar(ax, ranks.min() - 0.05, ranks.max() + 0.05, top + BAR * (place + 1))
    _draw_axis(ax, names, top)
    _draw_distance(ax, data.distance, len(names))
    ax.set_xlabel(f"mean rank by test quality over {data.repeats} {data.over} (1 is best)")
    return figure


def _draw_bar(ax: Axes, low: float, high: float, height: float) -> None:
    ends = [low, high]
    ax.plot(ends, [height] * 2, "-", color=drawing.INK, lw=2 * LINE, solid_capstyle="round")


def _draw_axis(ax: Axes, names: list[str], top: float) -> None:
    ax.set_yticks(range(len(names)), [drawing.label(name) for name in names])
    ax.set_ylim(len(names) - 0.4, top)
    ax.set_xlim(0.8, len(names) + 0.2)
    ax.set_xticks(range(1, len(names) + 1))
    ax.xaxis.tick_top()
    ax.spines["top"].set_visible(True)
    ax.spines["top"].set_color(drawing.FAINT)
    ax.spines[["left", "bottom"]].set_visible(False)
    ax.grid(visible=False)
    ax.tick_params(axis="y", length=0)


def _draw_distance(ax: Axes, distance: float | None, count: int) -> None:
    if distance is None:
        return
    ends, height = [1.0, 1.0 + distance], count - 0.3
    ax.plot(ends, [height] * 2, "|-", color=drawing.INK, lw=LINE / 2, ms=7)
    ax.text(1, height + 0.2, f"critical difference {distance:.2f}", va="top", fontsize=8)
    ax.set_xlim(0.8, max(count, ends[1]) + 0.2)
    ax.set_ylim(bottom=count + 0.3)
