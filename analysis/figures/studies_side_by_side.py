"""How each combination does in each of several studies."""

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis import drawing
from analysis.comparison import comparison, differing_metrics
from analysis.metric_names import in_words
from analysis.tables import StudyTables

CAPTION = (
    "Quality (left, more is better) and relative gap (right, less is better) of the best trial of "
    "each combination in each study. Studies are of different data, or ask differently: what "
    "compares is the order of the combinations within a study, not one study with another."
)
QUANTITIES = {"quality": "more is better", "gap": "less is better"}


class SideBySide(NamedTuple):
    """``trials`` has ``combination``, best of any study first, ``study``, ``quality`` and ``gap``.

    ``quality`` and ``gap`` are in words, or just that where the studies use different metrics.
    """

    quality: str
    gap: str
    studies: tuple[str, ...]
    trials: pd.DataFrame


def data(studies: Sequence[StudyTables]) -> SideBySide:
    """The best trials of all studies."""
    board = comparison(studies)
    of_studies = [
        pd.DataFrame(
            {
                "combination": board["combination"],
                "study": study.name,
                "quality": board[f"{study.name}/quality"],
                "gap": board[f"{study.name}/gap"],
            }
        )
        for study in studies
    ]
    is_same = not differing_metrics(studies)
    return SideBySide(
        quality=in_words(studies[0].quality_name) if is_same else "quality",
        gap=in_words(studies[0].gap_name) if is_same else "relative gap",
        studies=tuple(study.name for study in studies),
        trials=pd.concat(of_studies, ignore_index=True).dropna(subset="quality"),
    )


def title(data: SideBySide) -> str:
    """Says how often one combination is the best."""
    if data.trials.empty:
        return "Best trials by study"
    best = data.trials.loc[data.trials.groupby("study")["quality"].idxmax(), "combination"]
    first = best.value_counts()
    return f"{first.index[0]} is best in {first.iloc[0]} of {len(best)} studies"


def draw(data: SideBySide) -> Figure:
    """A row per combination and a dot per study, quality on the left and gap on the right."""
    if data.trials.empty:
        return drawing.missing(title(data), "no trial is complete yet")
    names = list(data.trials["combination"].unique())
    figure = drawing.rows_sheet(title(data), names)
    figure.set_figheight(max(figure.get_figheight(), 1.0 + 0.3 * len(data.studies)))
    axes = drawing.panels(figure, 1, 2, sharey=True)
    looks = drawing.looks(data.studies)
    for ax, (column, better) in zip(axes, QUANTITIES.items(), strict=True):
        _draw(ax, data.trials, column, names, looks)
        ax.set_xlabel(f"{getattr(data, column)}\n({better})")
    axes[0].set_yticks(range(len(names)), [drawing.label(name) for name in names])
    axes[0].set_ylim(len(names) - 0.4, -0.6)
    drawing.combinations_legend(figure, looks, data.studies)
    return figure


def _draw(
    ax: Axes, trials: pd.DataFrame, column: str, names: list[str], looks: dict[str, drawing.Look]
) -> None:
    rows = trials["combination"].map(names.index)
    for study, of_study in trials.groupby("study"):
        look = looks[str(study)]
        at = rows[of_study.index]
        ax.plot(of_study[column], at, look.marker, color=look.colour, ms=6, mec="white")
