"""The most telling division of points, with the largest groups and batches that it can supply."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Literal, final

from study import feasibility, material
from study.config import DataSection
from study.space import OptionSpaces
from trainables.data import PointSet
from trainables.tasks import StudyData

MANY_CLASSES = 20
"""From which on whole classes are held out: what is left is still enough to learn from."""
FOLDS = (3, 2, 1)
GROUP_SIZES = (5, 4, 3, 2, 1)
MOST_CLASSES_PER_BATCH = 16
SIZES = (1, 2, 5)


@final
@dataclass(frozen=True)
class Plan:
    """How points are divided and grouped.

    Args:
        section: source, split, folds and kind of groups.
        group_size: points of the largest group that every training part can supply.
        classes_per_batch: classes of which every training part has two such groups.
        sizes: points per group that every held-out part can supply.
    """

    section: DataSection
    group_size: int
    classes_per_batch: int
    sizes: tuple[int, ...]


def plans(source: str, points: PointSet, seed: int) -> Iterator[Plan]:
    """Divisions that work, the most telling one first.

    Args:
        source: what study files call the points.
        points: to be divided.
        seed: of the study.
    """
    kinds: tuple[Literal["natural", "sampled"], ...] = ("natural", "sampled")
    for split, groups, folds in product(
        _splits(points), kinds if points.groups is not None else kinds[1:], FOLDS
    ):
        section = DataSection(source=source, split=split, folds=folds, groups=groups)
        data, _ = material.divide(section, seed, points)
        plan = _fitted(section, data) if data else None
        if plan:
            yield plan


def _splits(points: PointSet) -> list[Literal["classes", "points", "official"]]:
    drawn: list[Literal["classes", "points", "official"]] = (
        ["classes", "points"] if len(points.classes) >= MANY_CLASSES else ["points", "classes"]
    )
    return drawn if points.is_test is None else ["official", *drawn]


def _fitted(section: DataSection, data: StudyData) -> Plan | None:
    """The largest groups that cost at most half of the classes, or None where there are none."""
    sizes = tuple(size for size in SIZES if feasibility.is_evaluable(data, size))
    classes = {size: _classes_per_batch(data, size) for size in GROUP_SIZES}
    enough = max(2, classes[min(GROUP_SIZES)] / 2)
    for size, count in classes.items():
        if sizes and count >= enough:
            return Plan(section, size, count, sizes)
    return None


def _classes_per_batch(data: StudyData, group_size: int) -> int:
    """The most classes of which every training part has two groups of a size; 0 for none."""
    wanted = {"groups_per_class": 2, "group_size": group_size, "group_size_spread": 0}
    for count in range(min(MOST_CLASSES_PER_BATCH, len(data.points.classes)), 1, -1):
        training = OptionSpaces("training", {**wanted, "classes_per_batch": count}, {})
        if not feasibility.problems(None, training, data):
            return count
    return 0
