"""Whether the data can supply every group that a study may ask of it."""

import numpy as np
from numpy.typing import NDArray

from study.space import OptionSpaces
from trainables import sampling
from trainables.configuration import BATCH
from trainables.data import PointSet
from trainables.splits import Split
from trainables.tasks import StudyData


def problems(sizes: tuple[int, ...] | None, training: OptionSpaces, data: StudyData) -> list[str]:
    """What no fold, or not every fold, of the data can supply; of each option the first problem.

    Args:
        sizes: evaluated points per group, or None if they are wrong by themselves.
        training: spaces of the training.
        data: points and their division.
    """
    found: dict[str, str] = {}
    for split in (*data.folds, data.final):
        for problem in _training_problems(training, data.points, split):
            found.setdefault(problem.split(":")[0], f"search.{problem}")
    for size in sizes or ():
        if not is_evaluable(data, size):
            found[f"size {size}"] = (
                f"protocol.sizes: {size} is too large: in some held-out part fewer than two "
                "classes have two such groups; use smaller sizes, fewer folds or a larger "
                "test_fraction"
            )
    return list(found.values())


def is_evaluable(data: StudyData, size: int) -> bool:
    """Whether two classes of every held-out part have two groups of ``size`` points."""
    return all(
        int((_groups_per_class(data.points, split, size) >= 2).sum()) >= 2
        for split in (*data.folds, data.final)
    )


def _training_problems(training: OptionSpaces, points: PointSet, split: Split) -> list[str]:
    """Batches that cannot be drawn, asked for the most that the space of their shape holds.

    More of anything is harder to supply, but for the size of a group, which its spread must not
    reach: that is asked for the smallest size too.
    """
    values = {name: training.values(name) for name in BATCH}
    if not all(values.values()):
        return []
    most = {name: max(of_option) for name, of_option in values.items()}
    groups = None if points.groups is None else points.groups[split.train]
    labels = points.labels[split.train]
    found = sampling.problems(labels, groups, **most)
    smallest = {**most, "group_size": min(values["group_size"])}
    return found + sampling.problems(labels, groups, **smallest)


def _groups_per_class(points: PointSet, split: Split, size: int) -> NDArray[np.int64]:
    labels = points.labels[split.held_out]
    if points.groups is None:
        return np.bincount(labels) // size
    natural, first, count = np.unique(
        points.groups[split.held_out], return_index=True, return_counts=True
    )
    return np.bincount(labels[first[count >= size]], minlength=1)
