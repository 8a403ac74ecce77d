"""Whole configurations of the best combination, each as one line."""

import re

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from analysis import drawing
from analysis.parameters import OfLeader, of_leader, places
from analysis.tables import StudyTables

MOST = 9
PAPER = {"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 1}
CAPTION = (
    "Each line is a complete trial of the best combination: its value of each searched parameter, "
    f"the most important ones first, {MOST} at most, and its quality, which also colours it. Axes "
    "run from the smallest to the largest value that was tried, logarithmically where that is 20 "
    "times as large; choices lie side by side. Where the best lines keep together, the parameter "
    "matters."
)


def data(tables: StudyTables) -> OfLeader:
    """Parameters and quality of the leading combination."""
    return of_leader(tables, MOST)


def title(data: OfLeader) -> str:
    """Says what is drawn."""
    if data.trials.shape[1] < 2:
        return "Configurations as lines"
    return f"{len(data.trials)} configurations of {data.combination}, coloured by quality"


def draw(data: OfLeader) -> Figure:
    """One axis per parameter and one for quality, and a line per trial."""
    if data.trials.shape[1] < 2:
        return drawing.missing(title(data), "no complete trials differ in a parameter yet")
    figure = drawing.sheet(title(data), 4.4)
    (ax,) = drawing.panels(figure, 1, 1)
    names = [*data.trials.columns[1:], "quality"]
    heights = np.column_stack([_axis(ax, at, data.trials[n]) for at, n in enumerate(names)])
    norm = Normalize(data.trials["quality"].min(), data.trials["quality"].max())
    colours = colormaps["viridis_r"](norm(data.trials["quality"]))
    across = np.broadcast_to(np.arange(len(names)), heights.shape)
    lines = np.stack([across, heights], axis=-1)
    ax.add_collection(LineCollection(list(lines), colors=colours, linewidths=1.1, alpha=0.75))
    labels = [re.sub("[._]", r"\g<0>\n", drawing.plain(str(name))) for name in names]
    ax.set_xticks(range(len(names)), labels)
    ax.set_yticks([])
    figure.supxlabel("searched parameters, and quality", fontsize=9)
    ax.spines[["left", "bottom"]].set_visible(False)
    ax.grid(visible=False)
    bar = figure.colorbar(ScalarMappable(norm, "viridis_r"), ax=ax, pad=0.02)
    bar.set_label(data.quality, fontsize=9)
    bar.ax.tick_params(labelsize=8.5, color=drawing.FAINT)
    return figure


def _axis(ax: Axes, at: int, values: pd.Series) -> np.ndarray:
    """Draws one axis with its labels, and returns the heights of the lines."""
    heights, labels = places(values)
    ax.axvline(at, color=drawing.FAINT, lw=0.8, zorder=0)
    for height, text in labels.items():
        ax.text(at + 0.03, height, drawing.plain(text), fontsize=7.5, va="center", bbox=PAPER)
    return heights
