"""The points that decide the margin m*."""

from typing import NamedTuple

import numpy as np
import pandas as pd
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
LOOKS = drawing.looks(("anchor", "positive", "negative"))


class Witness(NamedTuple):
    """``points`` has the columns of the table of witnesses, and ``combination``, best first."""

    points: pd.DataFrame


class Found(NamedTuple):
    """A witness as it is drawn: its label, and of its three points the names and values."""

    label: str
    names: list[str]
    points: list[np.ndarray]


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
    """A row for each combination: three images, or three curves over the features."""
    if data.points.empty:
        return drawing.missing(title(data), "no confirmation has left the points behind its m* yet")
    found = [
        Found(
            f"{drawing.label(rows['combination'].iloc[0], 26)}\nm* = {rows['excess'].iloc[0]:.3f}",
            [drawing.plain(f"{row['role']}: {row['class_name']}") for _, row in rows.iterrows()],
            [_values(row) for _, row in rows.iterrows()],
        )
        for _, rows in data.points.groupby("combination", sort=False)
    ]
    figure = drawing.sheet(title(data), 0.8 + 1.8 * len(found))
    (_draw_images if _is_image(found[0].points[0]) else _draw_curves)(figure, found)
    return figure


def _values(row: pd.Series) -> np.ndarray:
    return np.asarray(row["values"], dtype=float).reshape(row["shape"])


def _is_image(point: np.ndarray) -> bool:
    return point.ndim == 3 and point.shape[0] in CHANNELS


def _draw_images(figure: Figure, found: list[Found]) -> None:
    axes = drawing.panels(figure, len(found), 3)
    for row, (label, names, points) in enumerate(found):
        for ax, name, point in zip(axes[3 * row : 3 * row + 3], names, points, strict=True):
            image = point[0] if point.shape[0] == 1 else point.transpose(1, 2, 0)
            ax.imshow(image, cmap="gray", vmin=0, vmax=1)
            ax.set_title(name, fontsize=9)
            ax.set_xlabel(f"{image.shape[0]} × {image.shape[1]} pixels", fontsize=8)
            ax.set(xticks=[], yticks=[])
            ax.grid(visible=False)
            ax.spines[:].set_visible(False)
        axes[3 * row].set_ylabel(label, fontsize=8)


def _draw_curves(figure: Figure, found: list[Found]) -> None:
    axes = drawing.panels(figure, len(found), 1, sharex=True)
    for ax, (label, names, points) in zip(axes, found, strict=True):
        for name, point, look in zip(names, points, LOOKS.values(), strict=True):
            ax.plot(point.ravel(), look.line, lw=1.1, color=look.colour, label=name)
        ax.set_ylabel(label, fontsize=8)
        ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=8, frameon=False)
    axes[-1].set_xlabel("feature")
