"""Arrays of a source, in one part or in the parts of an official split, as one point set."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from trainables.data import DataError, PointSet, point_set
from trainables.importers.pictures import resized


@final
@dataclass(frozen=True)
class Part:
    """The arrays of one part of a source.

    Args:
        place: where the points are, as a user would name it.
        points: ``[n, features]`` float32, or images ``[n, channels, height, width]`` uint8.
        labels: ``[n]`` class names.
        is_test: whether the official split holds the part out for the test.
        groups: ``[n]`` natural group of each point, or None.
    """

    place: str
    points: NDArray[Any]
    labels: NDArray[Any]
    is_test: bool = False
    groups: NDArray[Any] | None = None


def joined(parts: Sequence[Part], source: Path, size: int | None) -> PointSet:
    """One point set of all parts; with an official split if they are on both sides of it.

    Natural groups of different parts are different groups, whatever their names: an official split
    divides none.

    Args:
        parts: the parts, at least one.
        source: the file or folder they are in.
        size: height and width in pixels that every image is resized to, or None to keep them.

    Raises:
        DataError: with every disagreement among the arrays, or if features were to be resized.
    """
    points = [_sized(part.points, size) for part in parts]
    problems = _problems(parts, points, source)
    if size is not None and any(array.dtype != np.uint8 for array in points):
        problems.append(f"{source}: holds features, and --size is for images; leave it out")
    if problems:
        raise DataError(problems)
    classes, labels = np.unique(
        np.concatenate([part.labels for part in parts]), return_inverse=True
    )
    sides = np.repeat([part.is_test for part in parts], [len(part.points) for part in parts])
    return point_set(
        np.concatenate(points),
        labels,
        classes.tolist(),
        str(source),
        groups=_numbered(parts),
        is_test=sides if len({part.is_test for part in parts}) > 1 else None,
    )


def _sized(points: NDArray[Any], size: int | None) -> NDArray[Any]:
    # Nothing can be made of images without pixels; point_set reports them.
    if size is None or points.dtype != np.uint8 or points.size == 0:
        return points
    return resized(points, size)


def _problems(parts: Sequence[Part], points: list[NDArray[Any]], source: Path) -> list[str]:
    problems = [problem for part in parts for problem in _count_problems(part)]
    problems += _shape_problems(parts, points)
    if len({part.groups is None for part in parts}) > 1:
        problems.append(f"{source}: only some parts have natural groups; give all of them, or none")
    return problems


def _numbered(parts: Sequence[Part]) -> NDArray[np.int64] | None:
    groups: list[NDArray[np.int64]] = []
    count = 0
    for part in parts:
        if part.groups is None:
            return None
        names, index = np.unique(part.groups, return_inverse=True)
        groups.append(index.astype(np.int64) + count)
        count += len(names)
    return np.concatenate(groups)


def _count_problems(part: Part) -> list[str]:
    counted = {"labels": part.labels, "natural groups": part.groups}
    return [
        f"{part.place}: holds {len(part.points)} points, but there are {len(array)} {name} for "
        "them; each point needs one"
        for name, array in counted.items()
        if array is not None and len(array) != len(part.points)
    ]


def _shape_problems(parts: Sequence[Part], points: list[NDArray[Any]]) -> list[str]:
    first = points[0]
    return [
        f"{part.place}: holds {_kind(array)}, {parts[0].place} holds {_kind(first)}; all points "
        "must be of one kind and shape"
        for part, array in zip(parts, points, strict=True)
        if (array.dtype, array.shape[1:]) != (first.dtype, first.shape[1:])
    ]


def _kind(points: NDArray[Any]) -> str:
    if points.dtype == np.uint8:
        return f"images of {' x '.join(map(str, points.shape[1:]))} (channels x height x width)"
    return f"points of {points.shape[1]} features"
