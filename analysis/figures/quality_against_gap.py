"""Which trials are best when quality and gap both matter."""

from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis import drawing
from analysis.leaderboard import best_trials, complete_trials
from analysis.metric_names import in_words
from analysis.pareto import pareto_front
from analysis.tables import StudyTables

CAPTION = (
    "Each dot is a complete trial; up and to the left is better. Large markers joined by the line "
    "are the Pareto front: no other trial is at least as good in both values and better in one. "
    "Trials of uncovered aggregators have no gap and cannot be shown."
)


class QualityAgainstGap(NamedTuple):
    """Complete trials with quality and gap.

    ``trials`` has the columns ``combination``, ``quality``, ``relative_gap`` and ``is_front``;
    ``without_gap`` counts the complete trials left out; ``combinations`` have a complete trial,
    best first.
    """

    quality: str
    gap: str
    combinations: tuple[str, ...]
    without_gap: int
    trials: pd.DataFrame


def data(tables: StudyTables) -> QualityAgainstGap:
    """Quality and relative gap of complete search trials, and who is on the front."""
    complete = complete_trials(tables)
    trials = complete[["combination", "quality", "relative_gap"]].dropna()
    trials = trials.assign(is_front=trials.index.isin(pareto_front(trials).index))
    return QualityAgainstGap(
        quality=in_words(tables.quality_name),
        gap=in_words(tables.gap_name),
        combinations=tuple(best_trials(tables)["combination"]),
        without_gap=len(complete) - len(trials),
        trials=trials.reset_index(drop=True),
    )


def title(data: QualityAgainstGap) -> str:
    """Counts the front and says whose it is."""
    front = data.trials[data.trials["is_front"]]
    if front.empty:
        return "Quality against relative gap"
    owners = front["combination"].unique()
    whose = owners[0] if len(owners) == 1 else f"{len(owners)} combinations"
    return f"Front of quality and gap: {len(front)} of {len(data.trials)} trials, from {whose}"


def draw(data: QualityAgainstGap) -> Figure:
    """A scatter of all trials with the front as a staircase."""
    if data.trials.empty:
        return drawing.missing(title(data), "no complete trial has a gap yet")
    shown = set(data.trials["combination"])
    figure = drawing.combinations_sheet(title(data), shown, 4.2)
    (ax,) = drawing.panels(figure, 1, 1)
    looks = drawing.looks(data.combinations)
    front = data.trials[data.trials["is_front"]].sort_values("relative_gap")
    ax.step(front["relative_gap"], front["quality"], where="post", color=drawing.INK, lw=1)
    for name, trials in data.trials.groupby("combination"):
        _draw_trials(ax, trials, looks[str(name)])
    left_out = f"; {data.without_gap} trials without a gap left out" if data.without_gap else ""
    ax.set_xlabel(f"{data.gap}\n(less is better; units of different-class distance{left_out})")
    ax.set_ylabel(f"{data.quality} (more is better)")
    drawing.combinations_legend(figure, looks, shown)
    return figure


def _draw_trials(ax: Axes, trials: pd.DataFrame, look: drawing.Look) -> None:
    front, others = trials[trials["is_front"]], trials[~trials["is_front"]]
    colour, marker = look.colour, look.marker
    ax.plot(others["relative_gap"], others["quality"], marker, color=colour, alpha=0.3, ms=4, mew=0)
    ax.plot(front["relative_gap"], front["quality"], marker, color=colour, ms=8, mec=drawing.INK)
