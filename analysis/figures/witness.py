"""The points that decide the margin m*."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis import drawing
from analysis.leaderboard import best_runs
from analysis.tables import StudyTables

MOST = 4
CHANNELS = (1, 3)
CAPTION = (
    "The three test points behind m*, of the first confirmed seed of the best combinations, "
    f"{MOST} at most. Of all triplets, this is the one whose positive, of the anchor's class, is "
    "farthest beyond its negative, of another class. m* is by how much, in embedding units, and "
    "every bound grows with it. Mislabelled or unreadable points show themselves here first. "
    "Images are drawn as images, other points as their features in order."
)


class Witness(NamedTuple):
    """``points`` has the columns of the table of witnesses, and ``combination``, best first."""

    points: pd.DataFrame


def data(tables: StudyTables) -> Witness:
    """The witness of the first confirmation of each of the best combinations."""
    runs = best_runs(tables, "confirmation")
    runs = runs[runs["key"].isin(tables.witnesses["key"])].drop_duplicates("combination")[:MOST]
    points = runs[["combination", "key"]].merge(tables.witnesses, on="key")
    return Witness(points.drop(columns="key"))


def title(data: Witness) -> str:
    """Tells the classes that the leader takes for each other."""
    if data.points.empty:
        return "The points behind m*"
    first = data.points.iloc[:3].set_index("role")
    names, excess = first["class_name"], first["excess"].iloc[0]
    if excess <= 0:
        return f"{data.points['combination'].iloc[0]} keeps every negative beyond every positive"
    return (
        f"{data.points['combination'].iloc[0]} places a point of {names['anchor']} nearer to one "
        f"of {names['negative']} than to one of its own class, by {excess:.2f}"
    )


def draw(data: Witness) -> Figure:
    """A row of three points for each combination."""
    if data.points.empty:
        return drawing.missing(title(data), "no confirmation has left the points behind its m* yet")
    rows = len(data.points) // 3
    figure = drawing.sheet(title(data), 0.8 + 1.8 * rows)
    axes = drawing.panels(figure, rows, 3)
    for ax, (_, point) in zip(axes, data.points.iterrows(), strict=True):
        _draw(ax, np.asarray(point["values"], dtype=float).reshape(point["shape"]))
        ax.set_title(drawing.plain(f"{point['role']}: {point['class_name']}"), fontsize=9)
    for ax, (_, point) in zip(axes[::3], data.points.iloc[::3].iterrows(), strict=True):
        label = drawing.label(point["combination"], 26)
        ax.set_ylabel(f"{label}\nm* = {point['excess']:.3f}", fontsize=8)
    return figure


def _draw(ax: Axes, point: np.ndarray) -> None:
    ax.grid(visible=False)
    if point.ndim == 3 and point.shape[0] in CHANNELS:
        image = point[0] if point.shape[0] == 1 else point.transpose(1, 2, 0)
        ax.imshow(image, cmap="gray", vmin=0, vmax=1)
        ax.set_xlabel(f"{image.shape[0]} × {image.shape[1]} pixels", fontsize=8)
        ax.set_xticks([])
        ax.set_yticks([])
        ax.spines[:].set_visible(False)
    else:
        ax.plot(point.ravel(), lw=0.9, color=drawing.COLOURS[0])
        ax.set_xlabel("feature")
