"""Which points are held out: for the test, and in every fold of the search.

Messages of a :class:`DataError` raised here name no place: the caller knows the option at fault.
"""

from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from trainables.data import DataError, PointSet

How = Literal["classes", "points", "official"]
Rows = NDArray[np.int64]
SINGLE_FOLD_FRACTION = 0.2


class LeakError(RuntimeError):
    """A split that shows training what it should hold out: a defect, never the user's mistake."""


@final
@dataclass(frozen=True)
class Split:
    """Points to train on and points held out, as ascending rows of the point set."""

    train: Rows
    held_out: Rows


def hold_out(points: PointSet, how: How, test_fraction: float, seed: int) -> Split:
    """Holds points out for the test.

    ``classes`` holds out whole classes, chosen at random; ``points`` holds out the same share of
    every class, up to rounding, with natural groups on one side and classes that consist of a
    single point or natural group in training; ``official`` follows ``is_test``.

    Args:
        points: all points.
        how: what is held out.
        test_fraction: share of the points to hold out, in (0, 1), as nearly as can be; for
            ``points`` with natural groups the share of the groups; not used by ``official``.
        seed: of the choice.

    Raises:
        DataError: if the data has no official split, or either side would have fewer than two
            classes.
    """
    if how == "official":
        held_out = _official(points)
    else:
        held_out = _drawn(points.labels, points.groups, how, test_fraction, _random(seed, 0))
    return _checked(points, np.arange(len(points)), held_out, how)


def folds(points: PointSet, rows: Rows, how: How, count: int, seed: int) -> list[Split]:
    """Divides rows into folds of about equally many points, each held out once.

    Divides as :func:`hold_out` does; ``official`` divides by classes if the official test classes
    are disjoint from the others, else by points.

    Args:
        points: all points.
        rows: the rows to divide, such as the training part of :func:`hold_out`.
        how: what a fold holds out.
        count: number of folds; a single one holds out a fifth of the points.
        seed: of the choice.

    Raises:
        DataError: if either side of a fold would have fewer than two classes.
    """
    rows, how = np.sort(rows), _fold_rule(points, how)
    labels, random = points.labels[rows], _random(seed, 1)
    groups = None if points.groups is None else points.groups[rows]
    if count == 1:
        held_out = [_drawn(labels, groups, how, SINGLE_FOLD_FRACTION, random)]
    else:
        fold = _dealt(labels, groups, how, count, random)
        held_out = [fold == number for number in range(count)]
    return [_checked(points, rows, mask, how) for mask in held_out]


def check_disjoint(points: PointSet, split: Split, how: How) -> None:
    """Makes sure that training sees nothing of what is held out.

    The sides must not share points; nor classes, if divided by classes; nor natural groups, if
    divided by points.

    Raises:
        LeakError: if they do.
    """
    require_apart("points", split.train, split.held_out)
    if how == "classes":
        require_apart("classes", points.labels[split.train], points.labels[split.held_out])
    if how == "points" and points.groups is not None:
        require_apart("natural groups", points.groups[split.train], points.groups[split.held_out])


def require_apart(what: str, seen: NDArray[Any], held_out: NDArray[Any]) -> None:
    """Makes sure that nothing of what is held out is seen.

    Args:
        what: they are, for the message.
        seen: of training, or of the search.
        held_out: from it.

    Raises:
        LeakError: if they share any.
    """
    shared = len(np.intersect1d(seen, held_out))
    if shared:
        raise LeakError(f"what is seen and what is held out share {shared} {what}")


def _checked(points: PointSet, rows: Rows, held_out: NDArray[np.bool_], how: How) -> Split:
    split = Split(rows[~held_out], rows[held_out])
    for side, part in (("training", split.train), ("held-out", split.held_out)):
        classes = len(np.unique(points.labels[part]))
        if classes < 2:
            raise DataError(
                [
                    f"the {side} part would have points of {classes} classes, at least two are "
                    "needed; change the share held out, the number of folds or the kind of split"
                ]
            )
    check_disjoint(points, split, how)
    return split


def _fold_rule(points: PointSet, how: How) -> How:
    if how != "official":
        return how
    is_test = _official(points)
    shared = np.intersect1d(points.labels[is_test], points.labels[~is_test])
    return "points" if len(shared) else "classes"


def _official(points: PointSet) -> NDArray[np.bool_]:
    if points.is_test is None:
        raise DataError(["the data has no official split; divide it by classes or by points"])
    return points.is_test


def _drawn(
    labels: Rows, groups: Rows | None, how: How, fraction: float, random: Generator
) -> NDArray[np.bool_]:
    """Which points are held out when about this fraction of them is."""
    if how == "classes":
        return _classes_drawn(labels, fraction, random)
    return _points_drawn(labels, groups, fraction, random)


def _dealt(labels: Rows, groups: Rows | None, how: How, count: int, random: Generator) -> Rows:
    """The number of the fold that holds each point out."""
    if how == "classes":
        return _classes_dealt(labels, count, random)
    return _points_dealt(labels, groups, count, random)


def _classes_drawn(labels: Rows, fraction: float, random: Generator) -> NDArray[np.bool_]:
    """As many classes, in random order, as come nearest to the fraction of points."""
    sizes = np.bincount(labels)
    classes = random.permutation(np.flatnonzero(sizes))
    _require_classes(len(classes), 4, "two to train on and two to hold out")
    share = sizes[classes].cumsum() / len(labels)
    count = 2 + np.abs(share - fraction)[1:-2].argmin()
    return np.isin(labels, classes[:count])


def _classes_dealt(labels: Rows, count: int, random: Generator) -> Rows:
    """Classes go around the folds, the larger of a round to the folds with fewer points."""
    sizes = np.bincount(labels)
    classes = random.permutation(np.flatnonzero(sizes))
    _require_classes(len(classes), 2 * count, f"two for each of {count} folds")
    fold, points = np.zeros(len(sizes), np.int64), np.zeros(count, np.int64)
    for start in range(0, len(classes), count):
        around = classes[start : start + count]
        largest_first = around[np.argsort(-sizes[around], kind="stable")]
        fewest_first = np.argsort(points, kind="stable")[: len(around)]
        fold[largest_first] = fewest_first
        points[fewest_first] += sizes[largest_first]
    return fold[labels]


def _points_drawn(
    labels: Rows, groups: Rows | None, fraction: float, random: Generator
) -> NDArray[np.bool_]:
    """The fraction of every class; rounding errors of the classes add up to less than one."""
    unit, class_of, order = _units(labels, groups, random)
    sizes = np.bincount(class_of)
    quota = np.diff(np.floor(sizes.cumsum() * fraction + random.random()), prepend=0)
    quota = np.minimum(quota, np.maximum(sizes - 1, 0))
    place = np.arange(len(order)) - (sizes.cumsum() - sizes)[class_of[order]]
    held_out = np.zeros(len(order), np.bool_)
    held_out[order] = place < quota[class_of[order]]
    return held_out[unit]


def _points_dealt(labels: Rows, groups: Rows | None, count: int, random: Generator) -> Rows:
    """The points of a class go around the folds, from where the class before ended."""
    unit, _, order = _units(labels, groups, random)
    fold = np.empty(len(order), np.int64)
    fold[order] = np.arange(len(order)) % count
    return fold[unit]


def _units(labels: Rows, groups: Rows | None, random: Generator) -> tuple[Rows, Rows, Rows]:
    """What stays whole, natural groups or points: of each point, their classes, and their order.

    The order is by class, and random within a class.
    """
    if groups is None:
        unit, class_of = np.arange(len(labels)), labels
    else:
        _, first, unit = np.unique(groups, return_index=True, return_inverse=True)
        class_of = labels[first]
    return unit, class_of, np.lexsort((random.random(len(class_of)), class_of))


def _require_classes(found: int, needed: int, reason: str) -> None:
    if found < needed:
        raise DataError(
            [
                f"{needed} classes are needed, {reason}, got {found}; divide by points or use "
                "fewer folds"
            ]
        )


def _random(seed: int, purpose: int) -> Generator:
    """Randomness of its own for the test and for the folds."""
    return np.random.default_rng([seed, purpose])
