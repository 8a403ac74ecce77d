"""Whether the data can supply every group that a study may ask of it."""

from itertools import product

import numpy as np

from study.config import StudyConfig
from study.space import OptionSpaces
from trainables import sampling
from trainables.configuration import BATCH
from trainables.data import PointSet
from trainables.splits import Split
from trainables.training import StudyData


def problems(config: StudyConfig, training: OptionSpaces, data: StudyData) -> list[str]:
    """What no fold, or not every fold, of the data can supply; each problem once."""
    found = []
    for split in (*data.folds, data.final):
        found += [f"search.{problem}" for problem in _training_problems(training, data, split)]
        found += _evaluation_problems(config, data.points, split)
    return list(dict.fromkeys(found))


def _training_problems(training: OptionSpaces, data: StudyData, split: Split) -> list[str]:
    """Batches that cannot be drawn, asked for every corner of the space of group sizes."""
    points, rows = data.points, split.train
    groups = None if points.groups is None else points.groups[rows]
    corners = product(*(training.values(name) for name in BATCH))
    return [
        problem
        for corner in corners
        for problem in sampling.problems(
            points.labels[rows], groups, **dict(zip(BATCH, corner, strict=True))
        )
    ]


def _evaluation_problems(config: StudyConfig, points: PointSet, split: Split) -> list[str]:
    """Evaluated group sizes of which fewer than two held-out classes hold two groups."""
    found = []
    for size in config.protocol.sizes:
        groups = _groups_per_class(points, split, size)
        if int((groups >= 2).sum()) < 2:
            found.append(
                f"protocol.sizes: {size} is too large: of {len(split.held_out)} held-out points "
                "fewer than two classes make two such groups; use smaller sizes or fewer folds"
            )
    return found


def _groups_per_class(points: PointSet, split: Split, size: int) -> np.ndarray:
    labels = points.labels[split.held_out]
    if points.groups is None:
        return np.bincount(labels) // size
    natural, first, count = np.unique(
        points.groups[split.held_out], return_index=True, return_counts=True
    )
    return np.bincount(labels[first[count >= size]], minlength=1)
