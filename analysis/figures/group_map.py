"""Where the groups of the test points lie, before and after training."""

from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis import drawing
from analysis.leaderboard import best_runs, best_trials
from analysis.tables import RAW, StudyTables

CAPTION = (
    "Each dot is the embedding of a group of test points, along the two directions in which the "
    "embeddings of a panel vary most (principal components), with the share of their variance that "
    "these two carry; colour and marker are its class. From left to right: the means of the points "
    "themselves; the best combination as it was before training; and after training on all points "
    "but the test points, from the same seed. At most 12 classes are drawn. What two directions "
    "mix may be apart in all of them."
)
PANELS = ("raw points", "untrained", "trained")


class GroupMap(NamedTuple):
    """``groups`` has ``panel``, ``class_name``, ``x``, ``y`` and ``explained``, as in maps."""

    combination: str
    groups: pd.DataFrame


def data(tables: StudyTables) -> GroupMap:
    """Maps of the raw points, and of the leading combination's first seed that has both."""
    best = best_trials(tables)
    leader = str(best["combination"].iloc[0]) if len(best) else ""
    panels = {RAW: PANELS[0], **_of_leader(tables, leader)}
    found = tables.maps[tables.maps["key"].isin(panels)]
    groups = found.assign(panel=found["key"].map(panels)).drop(columns="key")
    return GroupMap(leader, groups.reset_index(drop=True))


def _of_leader(tables: StudyTables, leader: str) -> dict[str, str]:
    """Keys of the panels of the leader; only what was read on the test points is mapped."""
    runs = best_runs(tables, "confirmation", "untrained")
    runs = runs[(runs["combination"] == leader) & runs["key"].isin(tables.maps["key"])]
    of_seed = {seed: of_it.set_index("phase")["key"] for seed, of_it in runs.groupby("seed")}
    keys = max(of_seed.values(), key=len, default=pd.Series(dtype=str))
    names = {"untrained": PANELS[1], "confirmation": PANELS[2]}
    return {str(key): names[str(phase)] for phase, key in keys.items()}


def title(data: GroupMap) -> str:
    """Says how much of the classes is drawn."""
    if data.groups.empty:
        return "Groups of the test points"
    classes = data.groups["class_name"].nunique()
    return f"Groups of {classes} test classes, as {data.combination} places them"


def draw(data: GroupMap) -> Figure:
    """A panel for each state of the model."""
    shown = [name for name in PANELS if name in set(data.groups["panel"])]
    if not shown:
        return drawing.missing(title(data), "no confirmation has left a map of its groups yet")
    classes = sorted(data.groups["class_name"].unique())
    looks = drawing.looks(classes)
    figure = drawing.combinations_sheet(title(data), classes, 3.9)
    for ax, name in zip(drawing.panels(figure, 1, len(shown)), shown, strict=True):
        _draw(ax, name, data.groups[data.groups["panel"] == name], looks)
    drawing.combinations_legend(figure, looks, classes)
    return figure


def _draw(ax: Axes, name: str, groups: pd.DataFrame, looks: dict[str, drawing.Look]) -> None:
    for class_name, of_class in groups.groupby("class_name"):
        colour, marker, _ = looks[str(class_name)]
        ax.plot(of_class["x"], of_class["y"], marker, color=colour, ms=4, alpha=0.7, mew=0)
    ax.set_title(name, fontsize=9.5)
    ax.set_aspect("equal", adjustable="datalim")
    ax.set_xlabel(f"first two components: {groups['explained'].iloc[0]:.0%} of variance")
