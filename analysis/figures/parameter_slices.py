"""How quality went with each searched parameter of the best combination."""

from math import ceil

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis import drawing
from analysis.parameters import OfLeader, is_numeric, is_wide, of_leader
from analysis.tables import StudyTables

COLUMNS, MOST = 3, 12
FEW = 5
"""Values that each get a tick; of more, an axis has so many at most."""
CAPTION = (
    "Quality of every complete trial of the best combination against each parameter that was "
    f"searched, the most important ones first, {MOST} at most; the large marker is the best trial. "
    "Other parameters differ between the dots too. Best trials at the end of a range ask for a "
    "wider one."
)


def data(tables: StudyTables) -> OfLeader:
    """Parameters and quality of the leading combination."""
    return of_leader(tables, MOST)


def title(data: OfLeader) -> str:
    """Says for how many parameters the best trial lies at an end of what was tried."""
    names = _names(data)
    if not names:
        return "Quality against each parameter"
    ends = [name for name in names if _is_at_an_end(data.trials[name])]
    told = f"the best trial of {data.combination} lies at an end of what was tried"
    return f"{', '.join(ends)}: {told}" if ends else f"Nowhere {told}"


def draw(data: OfLeader) -> Figure:
    """A panel of dots for each parameter."""
    names = _names(data)
    if not names:
        return drawing.missing(title(data), "no complete trials differ in a parameter yet")
    rows = ceil(len(names) / COLUMNS)
    figure = drawing.sheet(title(data), 0.8 + 2.3 * rows)
    axes = drawing.panels(figure, rows, COLUMNS, sharey=True)
    for ax, name in zip(axes, names, strict=False):
        _draw(ax, data.trials[name], data.trials["quality"], name)
    for ax in axes[len(names) :]:
        ax.set_visible(False)
    for ax in axes[::COLUMNS]:
        ax.set_ylabel(data.quality)
    return figure


def _names(data: OfLeader) -> list[str]:
    return [str(name) for name in data.trials.columns[1:]]


def _is_at_an_end(values: pd.Series) -> bool:
    """Whether the last value is the least or the largest of at least three."""
    if not is_numeric(values) or values.nunique() < 3:
        return False
    return values.iloc[-1] in (values.min(), values.max())


def _draw(ax: Axes, values: pd.Series, quality: pd.Series, name: str) -> None:
    if is_numeric(values):
        across = values.astype(float).to_numpy()
        if is_wide(values):
            ax.set_xscale("log")
            ax.minorticks_off()
        elif values.nunique() <= FEW:
            known = sorted(values.dropna().unique())
            ax.set_xticks(known, [f"{value:.3g}" for value in known])
        else:
            ax.xaxis.set_major_locator(MaxNLocator(FEW))
    else:
        known = sorted({str(value) for value in values})
        across = np.array([known.index(str(value)) for value in values], dtype=float)
        ax.set_xticks(range(len(known)), [drawing.plain(text) for text in known])
        ax.set_xlim(-0.5, len(known) - 0.5)
    (colour, marker, _) = drawing.looks(["best"])["best"]
    ax.plot(across[:-1], quality.iloc[:-1], "o", color=colour, alpha=0.45, ms=4, mew=0)
    ax.plot(across[-1:], quality.iloc[-1:], marker, color=colour, ms=8, mec="white")
    ax.set_xlabel(drawing.plain(name))
