"""Which points are held out: the locked test part, and the folds of the rest."""

from dataclasses import dataclass
from typing import Literal, final

import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

from trainables.data import DataError, PointSet

How = Literal["classes", "points", "official"]
Rows = NDArray[np.int64]
ONE_FOLD_SHARE = 5


@final
@dataclass(frozen=True)
class Split:
    """Rows to train on and rows held out, each sorted, with none in common."""

    train: Rows
    held_out: Rows

    def __post_init__(self) -> None:
        if np.intersect1d(self.train, self.held_out).size:
            raise ValueError("a split must not hold out points that it trains on")


def hold_out(points: PointSet, how: How, test_fraction: float, seed: int) -> Split:
    """Locks away the test part.

    Args:
        points: all points.
        how: ``classes`` holds out whole classes; ``points`` holds out points of every class, whole
            natural groups where there are any; ``official`` follows the data's own split.
        test_fraction: share of classes or points held out; not used by ``official``.
        seed: of the choice.

    Raises:
        DataError: if either part would have fewer than two classes, or there is no official split.
    """
    everything = np.arange(len(points.labels))
    if how == "official":
        if points.is_test is None:
            raise DataError(["official, but the data has no `split` column; use classes or points"])
        return _checked(points, "official", everything[~points.is_test], everything[points.is_test])
    rng = default_rng([seed, 0])
    if how == "classes":
        present = np.unique(points.labels)
        count = max(2, round(test_fraction * len(present)))
        parts = _class_parts(points, everything, [count, len(present) - count], rng)
    else:
        parts = _point_parts(points, everything, [test_fraction, 1 - test_fraction], rng)
    return _checked(points, how, everything[~np.isin(everything, parts[0])], parts[0])


def folds(points: PointSet, rows: Rows, how: How, count: int, seed: int) -> list[Split]:
    """Divides the rows that are not locked away into folds, each held out once.

    With ``official`` the folds are divided as the official test part is: by classes if its classes
    are unseen, by points if they are not. A single fold holds out a fifth.

    Args:
        points: all points.
        rows: those outside the test part.
        how: as in :func:`hold_out`.
        count: folds, at least 1.
        seed: of the division.

    Raises:
        DataError: if a part of a fold would have fewer than two classes.
    """
    if how == "official":
        tested = np.delete(np.arange(len(points.labels)), rows)
        is_seen = np.isin(points.labels[tested], points.labels[rows]).any()
        how = "points" if is_seen else "classes"
    parts = ONE_FOLD_SHARE if count == 1 else count
    rng = default_rng([seed, 1])
    if how == "classes":
        present = len(np.unique(points.labels[rows]))
        sizes = [len(part) for part in np.array_split(np.arange(present), parts)]
        divided = _class_parts(points, rows, sizes, rng)
    else:
        divided = _point_parts(points, rows, [1 / parts] * parts, rng)
    return [_checked(points, how, np.setdiff1d(rows, part), part) for part in divided[:count]]


def _checked(points: PointSet, how: How, train: Rows, held_out: Rows) -> Split:
    """A split whose parts can be trained on and judged, and are as disjoint as they claim."""
    labels = {"train": np.unique(points.labels[train]), "hold": np.unique(points.labels[held_out])}
    if min(len(classes) for classes in labels.values()) < 2:
        raise DataError(
            [
                f"{how}: both sides need at least two classes, got {len(labels['train'])} to train "
                f"on and {len(labels['hold'])} held out; use fewer folds, or split: points"
            ]
        )
    if how == "classes" and np.intersect1d(labels["train"], labels["hold"]).size:
        raise ValueError("a split by classes must not hold out classes that it trains on")
    return Split(train, held_out)


def _class_parts(points: PointSet, rows: Rows, sizes: list[int], rng: Generator) -> list[Rows]:
    """Rows of disjoint sets of classes; ``sizes`` counts the classes of each."""
    classes = rng.permutation(np.unique(points.labels[rows]))
    chosen = np.split(classes, np.cumsum(sizes)[:-1])
    return [rows[np.isin(points.labels[rows], part)] for part in chosen]


def _point_parts(
    points: PointSet, rows: Rows, fractions: list[float], rng: Generator
) -> list[Rows]:
    """Rows of every class in the given shares; a natural group stays in one part."""
    units = points.groups[rows] if points.groups is not None else np.arange(len(rows))
    part_of = np.empty(len(rows), dtype=np.int64)
    for label in np.unique(points.labels[rows]):
        of_class = points.labels[rows] == label
        own = rng.permutation(np.unique(units[of_class]))
        bounds = np.round(np.cumsum(fractions)[:-1] * len(own)).astype(np.int64)
        for part, members in enumerate(np.split(own, bounds)):
            part_of[of_class & np.isin(units, members)] = part
    return [rows[part_of == part] for part in range(len(fractions))]
