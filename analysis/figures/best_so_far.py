"""How quickly each combination's search found its best trial."""

from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from analysis import drawing
from analysis.leaderboard import best_trials
from analysis.metric_names import in_words
from analysis.tables import StudyTables

CAPTION = (
    "Best quality so far against the number of finished trials of the same combination, in the "
    "order in which they finished. Complete, pruned and failed trials all count as spent, but only "
    "complete ones can raise the curve; it starts at the first of them, and the marker shows where "
    "the best trial finished. A curve still rising at its end asks for a larger budget."
)
FINISHED = ["complete", "pruned", "failed"]


class BestSoFar(NamedTuple):
    """The course of each search.

    ``course`` has the columns ``combination``, ``finished`` (trials, from 1) and ``best``, the
    quality, one row per finished trial from the first complete one on; ``combinations`` are best
    first.
    """

    quality: str
    combinations: tuple[str, ...]
    course: pd.DataFrame


def data(tables: StudyTables) -> BestSoFar:
    """Running maximum of quality over finished search trials, by combination."""
    trials = tables.trials
    finished = trials[(trials["phase"] == "search") & trials["state"].isin(FINISHED)]
    course = finished.sort_values(["ended", "number"], kind="stable").reset_index(drop=True)
    quality = course["quality"].where(course["state"] == "complete")
    names = course["combination"]
    course["finished"] = course.groupby("combination").cumcount() + 1
    # A pruned trial has no say, yet the best before it still stands.
    course["best"] = quality.groupby(names).cummax().groupby(names).ffill()
    return BestSoFar(
        quality=in_words(tables.quality_name),
        combinations=tuple(best_trials(tables)["combination"]),
        course=course[["combination", "finished", "best"]].dropna().reset_index(drop=True),
    )


def title(data: BestSoFar) -> str:
    """Says when the leader found its best trial."""
    if data.course.empty:
        return "Best quality so far"
    leader = data.course[data.course["combination"] == data.combinations[0]]
    place = leader["finished"].iloc[leader["best"].argmax()]
    return (
        f"{data.combinations[0]} reached its best quality, {leader['best'].max():.3f}, "
        f"with trial {place} of {leader['finished'].max()}"
    )


def draw(data: BestSoFar) -> Figure:
    """One rising step curve per combination."""
    if data.course.empty:
        return drawing.missing(title(data), "no trial is complete yet")
    figure, ax, looks = drawing.curves_sheet(
        title(data), data.combinations, "finished trials of the combination", f"best {data.quality}"
    )
    for name, course in data.course.groupby("combination"):
        colour, marker, style = looks[str(name)]
        ax.step(course["finished"], course["best"], style, where="post", color=colour, lw=1.5)
        found = course.iloc[course["best"].argmax()]
        ax.plot([found["finished"]], [found["best"]], marker, color=colour, ms=6, mec="white")
    ax.set_xlim(0, data.course["finished"].max() + 1)
    return figure
