"""How the best trial of each combination learned, epoch by epoch."""

from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from analysis import drawing
from analysis.leaderboard import best_trials
from analysis.metric_names import in_words
from analysis.tables import StudyTables

CAPTION = (
    "Validation quality of the best trial of each combination by epoch, mean over folds; the "
    "marker is the last one, by which the trial was judged. A curve still rising at its end asks "
    "for more epochs; one that has long been falling asks for fewer, or for a smaller learning "
    "rate."
)
LATE = 0.25
"""Share of the epochs, at the end, in which a best value says that training was not over."""


class TrainingCurves(NamedTuple):
    """Validations of best trials.

    ``curves`` has the columns ``combination``, ``epoch``, from 1, and ``quality``; ``combinations``
    have a complete trial, best first.
    """

    quality: str
    combinations: tuple[str, ...]
    curves: pd.DataFrame


def data(tables: StudyTables) -> TrainingCurves:
    """The selection metric by epoch, of every combination's best trial."""
    best, history = best_trials(tables), tables.history
    curves = best[["key", "combination"]].merge(
        history[history["name"] == tables.quality_name], on="key"
    )
    curves = curves.rename(columns={"value": "quality"}).sort_values("epoch", kind="stable")
    return TrainingCurves(
        quality=in_words(tables.quality_name),
        combinations=tuple(best["combination"]),
        curves=curves[["combination", "epoch", "quality"]].dropna().reset_index(drop=True),
    )


def title(data: TrainingCurves) -> str:
    """Says of how many combinations the best trial was still getting better at its end."""
    if data.curves.empty:
        return "Training of the best trials"
    by_name = data.curves.groupby("combination")
    highest = data.curves.loc[by_name["quality"].idxmax()].set_index("combination")["epoch"]
    late = int((highest > (1 - LATE) * by_name["epoch"].max()).sum())
    return (
        f"{late} of {len(highest)} best trials were at their best in the last quarter of training"
    )


def draw(data: TrainingCurves) -> Figure:
    """One curve per combination."""
    if data.curves.empty:
        return drawing.missing(title(data), "no complete trial was validated yet")
    figure, ax, looks = drawing.curves_sheet(
        title(data), data.combinations, "epoch", f"validation {data.quality}"
    )
    for name, curve in data.curves.groupby("combination"):
        colour, marker, style = looks[str(name)]
        ax.plot(curve["epoch"], curve["quality"], style, color=colour, lw=1.5)
        last = curve.iloc[-1]
        ax.plot([last["epoch"]], [last["quality"]], marker, color=colour, ms=6, mec="white")
    ax.set_xlim(left=0)
    return figure
