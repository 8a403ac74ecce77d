"""Points with class labels, checked; scikit-learn's digits built in."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, SupportsIndex, final

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from trainables import point_problems


class DataError(ValueError):
    """A data file that cannot be studied.

    Args:
        problems: every problem found, each as ``place: what is wrong; what was meant``.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems

    def __reduce__(self) -> tuple[type["DataError"], tuple[list[str]]]:
        return type(self), (self.problems,)


@final
@dataclass(frozen=True)
class PointSet:
    """Points with class labels, as read-only arrays that processes can share.

    Args:
        points: ``[n, features]`` float32, or images ``[n, channels, height, width]`` uint8.
        labels: ``[n]`` int64 index into ``classes``.
        classes: class names.
        groups: ``[n]`` int64 natural group of each point (within one class), or None.
        is_test: ``[n]`` whether the official split holds a point out for the test, or None.
        source: where the points come from, as a user would name it.
        digest: SHA-256 of the content, in hexadecimal.
        remap: given all other fields, maps the points of a pickle, which does not hold them, in
            the process that reads it; None of points that a pickle holds.
    """

    points: NDArray[Any]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    groups: NDArray[np.int64] | None
    is_test: NDArray[np.bool_] | None
    source: str
    digest: str
    remap: Callable[[dict[str, Any]], "PointSet"] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one point: ``(features,)`` or ``(channels, height, width)``."""
        return self.points.shape[1:]

    def __len__(self) -> int:
        return len(self.points)

    def take(self, rows: NDArray[np.integer[Any]] | Int[Tensor, "*rows"]) -> Float[Tensor, "..."]:
        """A copy of the points in these rows, as float32 ``*rows *shape``; images are in [0, 1]."""
        return as_floats(torch.from_numpy(self.points[np.asarray(rows)]))

    def chunks(
        self, rows: NDArray[np.integer[Any]], size: int
    ) -> Iterator[Float[Tensor, "batch *shape"]]:
        """What :meth:`take` gives, ``size`` rows at a time."""
        return (self.take(rows[start : start + size]) for start in range(0, len(rows), size))

    def without_groups(self) -> "PointSet":
        """The same points with no natural groups; keeps the digest, which names the data."""
        return replace(self, groups=None)

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[Any, ...]:
        if self.remap is None:
            return super().__reduce_ex__(protocol)
        names = [field.name for field in fields(self) if field.name != "points"]
        return self.remap, ({name: getattr(self, name) for name in names},)


def point_set(
    points: NDArray[Any],
    labels: NDArray[np.int64],
    classes: Sequence[str],
    source: str,
    *,
    groups: NDArray[np.int64] | None = None,
    is_test: NDArray[np.bool_] | None = None,
) -> PointSet:
    """A checked point set in canonical form, so that equal data have equal digests.

    Class names are sorted and unused ones dropped; natural groups are numbered from 0 by first
    appearance. The arrays become read-only. Arguments are as the fields of :class:`PointSet`, with
    the class names in any order.

    Raises:
        DataError: if there are no points, only one class, numbers that are not finite, or a natural
            group across classes.
    """
    problems = point_problems.of_points(points)
    problems += point_problems.of_classes(labels, classes, groups)
    if problems:
        raise DataError([f"{source}: {problem}" for problem in problems])
    names, index = np.unique(np.array(classes, dtype=np.str_), return_inverse=True)
    used, dense = np.unique(index[labels], return_inverse=True)
    unnamed = PointSet(
        points=_sealed(points),
        labels=_sealed(dense),
        classes=tuple(str(name) for name in names[used]),
        groups=None if groups is None else _sealed(_by_appearance(groups)),
        is_test=None if is_test is None else _sealed(is_test),
        source=source,
        digest="",
    )
    return replace(unnamed, digest=_digest(unnamed))


def as_floats(points: Tensor) -> Float[Tensor, "..."]:
    """Points as models take them: images of bytes are scaled to [0, 1]."""
    return points if points.is_floating_point() else points.float().div_(255)


def digits() -> PointSet:
    """scikit-learn's 1,797 handwritten digits: 64 features in [0, 1], 10 classes."""
    from sklearn.datasets import load_digits  # slow to import, and needed for this source only

    pixels, labels = load_digits(return_X_y=True)
    return point_set(
        (pixels / 16).astype(np.float32), labels, [str(digit) for digit in range(10)], "digits"
    )


def _by_appearance(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    _, first, group = np.unique(groups, return_index=True, return_inverse=True)
    return first.argsort().argsort()[group]


def _sealed(array: NDArray[Any]) -> NDArray[Any]:
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


def _digest(points: PointSet) -> str:
    content = hashlib.sha256(json.dumps(points.classes).encode())
    for array in (points.points, points.labels, points.groups, points.is_test):
        if array is None:
            content.update(b"none")
        else:
            content.update(f"{array.dtype.str}{array.shape}".encode())
            content.update(array.data)
    return content.hexdigest()
