"""How trials ended, by combination."""

from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from analysis import drawing
from analysis.leaderboard import STATES, leaderboard
from analysis.tables import StudyTables

CAPTION = (
    "Trials of the search phase by state. Pruned trials were stopped early because others were "
    "clearly better; failed trials ended with the reasons listed below. Only complete trials are "
    "ranked, so a combination with few of them was judged on less evidence."
)
STATE_COLOURS = dict(zip(STATES, ("#0072B2", "#E69F00", "#D55E00", "#BBBBBB"), strict=True))


class States(NamedTuple):
    """``counts`` has the columns ``combination``, best first, and one per state, in trials."""

    planned: int
    counts: pd.DataFrame


def data(tables: StudyTables) -> States:
    """Trials of each combination by state."""
    return States(tables.planned_trials, leaderboard(tables)[["combination", *STATES]])


def title(data: States) -> str:
    """Says how far the search is and how much of it failed."""
    if data.counts.empty:
        return "States of the trials"
    totals = data.counts[STATES].sum()
    return (
        f"{totals['complete']} of {data.planned} planned trials are complete, "
        f"{totals['pruned']} pruned, {totals['failed']} failed"
    )


def draw(data: States) -> Figure:
    """One stacked bar per combination."""
    if data.counts.empty:
        return drawing.missing(title(data), "no trial has started yet")
    figure = drawing.rows_sheet(title(data), data.counts["combination"].tolist())
    names = [drawing.label(name) for name in data.counts["combination"]]
    (ax,) = drawing.panels(figure, 1, 1)
    left = pd.Series(0, index=data.counts.index)
    for state, colour in STATE_COLOURS.items():
        ax.barh(range(len(names)), data.counts[state], 0.7, left=left, color=colour)
        left = left + data.counts[state]
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(visible=False, axis="y")
    ax.set_xlabel("trials of the search phase")
    handles = [Patch(color=colour, label=state) for state, colour in STATE_COLOURS.items()]
    drawing.legend(figure, handles)
    return figure
