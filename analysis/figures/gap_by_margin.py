"""How the gap depends on the margin m*."""

from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from analysis import drawing
from analysis.leaderboard import best_trials, complete_trials, metric
from analysis.metric_names import beside, in_words
from analysis.tables import StudyTables

CAPTION = (
    "Each dot is a complete trial. The margin m* is the smallest m with d(a,p) − d(a,n) ≤ m for "
    "all triplets of anchor, positive and negative among the grouped points; left of the dashed "
    "line every positive is nearer than every negative. Both axes are divided by the mean distance "
    "of different-class points, so that shrinking all embeddings moves no dot. ρ is Spearman's "
    "rank correlation over all trials shown; it mixes combinations and is a description, not a "
    "test."
)
CLEAR = 0.3
"""Rank correlation, in absolute value, from which the title speaks of a relation."""


class GapByMargin(NamedTuple):
    """Complete trials with a bound.

    ``trials`` has the columns ``combination``, ``relative_m_star`` and ``relative_gap``, both
    dimensionless; ``combinations`` have a complete trial, best first.
    """

    gap: str
    combinations: tuple[str, ...]
    trials: pd.DataFrame


def data(tables: StudyTables) -> GapByMargin:
    """Relative margin and relative gap of every complete search trial that has both."""
    trials = complete_trials(tables)
    margin, scale = (
        trials["key"].map(metric(tables, beside(tables.gap_name, quantity))).astype(float)
        for quantity in ("m_star", "scale")
    )
    trials = trials.assign(relative_m_star=margin / scale)
    trials = trials[["combination", "relative_m_star", "relative_gap"]].dropna()
    return GapByMargin(
        gap=in_words(tables.gap_name),
        combinations=tuple(best_trials(tables)["combination"]),
        trials=trials.reset_index(drop=True),
    )


def title(data: GapByMargin) -> str:
    """Says which way the two go together, by rank correlation."""
    ranks = data.trials[["relative_m_star", "relative_gap"]].rank()
    if ranks.nunique().min() <= 1:
        return "Relative gap against margin m*"
    correlation = ranks["relative_m_star"].corr(ranks["relative_gap"])
    evidence = f"(ρ = {correlation:.2f}, {len(ranks)} trials)"
    if abs(correlation) < CLEAR:
        return f"Margin m* and gap show no clear relation {evidence}"
    direction = "smaller" if correlation > 0 else "larger"
    return f"A smaller margin m* goes with a {direction} gap {evidence}"


def draw(data: GapByMargin) -> Figure:
    """A scatter of all trials, coloured by combination."""
    if data.trials.empty:
        return drawing.missing(title(data), "no complete trial has both a bound and a margin yet")
    looks = drawing.looks(data.combinations)
    shown = set(data.trials["combination"])
    figure = drawing.combinations_sheet(title(data), shown, 4.2)
    (ax,) = drawing.panels(figure, 1, 1)
    for name, trials in data.trials.groupby("combination"):
        look = looks[str(name)]
        ax.plot(
            trials["relative_m_star"],
            trials["relative_gap"],
            look.marker,
            color=look.colour,
            alpha=0.6,
            ms=5,
            mew=0,
        )
    ax.axvline(0, color=drawing.FAINT, linestyle="--", linewidth=1)
    ax.set_xlabel("margin m* (units of different-class distance)")
    ax.set_ylabel(f"{data.gap}\n(units of different-class distance)")
    drawing.combinations_legend(figure, looks, shown)
    return figure
