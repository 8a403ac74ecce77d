"""Which combination is best: quality and relative gap of every complete trial."""

from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis import drawing
from analysis.leaderboard import best_trials, complete_trials, leaderboard
from analysis.metric_names import in_words
from analysis.tables import StudyTables

CAPTION = (
    "Quality (left, more is better) and relative gap (right, less is better) of each combination, "
    "best combination on top. The large marker is the trial of highest quality, in both panels; "
    "faint dots are all its other complete trials. Each value is the mean over validation folds. "
    "The relative gap is the bound minus the measured distance of two same-class groups, divided "
    "by the mean distance of different-class points."
)


class Combinations(NamedTuple):
    """Complete trials by combination.

    ``trials`` has the columns ``combination``, ``quality``, ``relative_gap`` and ``is_best``;
    ``combinations`` lists all of them, best first, also those without a complete trial.
    """

    quality: str
    gap: str
    combinations: tuple[str, ...]
    uncovered: frozenset[str]
    trials: pd.DataFrame


def data(tables: StudyTables) -> Combinations:
    """Quality and relative gap of every complete search trial."""
    board = leaderboard(tables)
    trials = complete_trials(tables)[["key", "combination", "quality", "relative_gap"]]
    is_best = trials["key"].isin(best_trials(tables)["key"])
    return Combinations(
        quality=in_words(tables.quality_name),
        gap=in_words(tables.gap_name),
        combinations=tuple(board["combination"]),
        uncovered=frozenset(board.loc[~board["is_covered"], "combination"]),
        trials=trials.assign(is_best=is_best).drop(columns="key").reset_index(drop=True),
    )


def title(data: Combinations) -> str:
    """Names the leader and its two values."""
    best = data.trials[data.trials["is_best"]]
    if best.empty:
        return "Quality and gap of each combination"
    leader = best[best["combination"] == data.combinations[0]].iloc[0]
    gap = leader["relative_gap"]
    closing = "is not covered by the bound" if pd.isna(gap) else f"has relative gap {gap:.2f}"
    return f"{data.combinations[0]} leads with quality {leader['quality']:.3f} and {closing}"


def draw(data: Combinations) -> Figure:
    """A row of dots per combination, quality on the left and relative gap on the right."""
    if data.trials.empty:
        return drawing.missing(title(data), "no trial is complete yet")
    figure = drawing.rows_sheet(title(data), data.combinations)
    left, right = drawing.panels(figure, 1, 2, sharey=True)
    for ax, column in ((left, "quality"), (right, "relative_gap")):
        _draw_rows(ax, data, column)
    left.set_yticks(range(len(data.combinations)), [drawing.label(n) for n in data.combinations])
    left.set_ylim(len(data.combinations) - 0.4, -0.6)
    left.set_xlabel(f"{data.quality}\n(more is better)")
    right.set_xlabel(f"{data.gap}\n(less is better; units of different-class distance)")
    return figure


def _draw_rows(ax: Axes, data: Combinations, column: str) -> None:
    looks = drawing.looks(data.combinations)
    known = data.trials.dropna(subset=column)
    for row, name in enumerate(data.combinations):
        trials = known[known["combination"] == name]
        others, best = trials[~trials["is_best"]], trials[trials["is_best"]]
        look = looks[name]
        ax.plot(
            others[column], [row] * len(others), "o", color=look.colour, alpha=0.25, ms=4, mew=0
        )
        ax.plot(best[column], [row] * len(best), look.marker, color=look.colour, ms=8, mec="white")
        if trials.empty:
            _say(ax, row, _why_empty(data, name))


def _why_empty(data: Combinations, name: str) -> str:
    if name not in set(data.trials["combination"]):
        return "no complete trial"
    return "not covered by the theorem" if name in data.uncovered else "not measured"


def _say(ax: Axes, row: int, text: str) -> None:
    ax.text(
        0.02,
        row,
        text,
        transform=ax.get_yaxis_transform(),
        va="center",
        fontsize=8,
        color=drawing.FAINT,
        style="italic",
    )
