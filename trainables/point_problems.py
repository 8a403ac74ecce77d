"""What is wrong with points and their classes, each problem with its remedy."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

CHUNK_BYTES = 4 << 20
"""Looked at together: what is found out about them takes memory too."""


def of_points(points: NDArray[Any]) -> list[str]:
    """Problems with ``[n, features]`` float32 or ``[n, channels, height, width]`` uint8."""
    if points.size == 0:
        return ["holds no points; points of at least two classes are needed"]
    if points.dtype == np.uint8:
        return []
    wrong = _not_finite(points)
    if len(wrong) == 0:
        return []
    return [
        f"features are NaN or infinite in {len(wrong)} of {len(points)} points, the first is row "
        f"{wrong[0]}; remove or repair them"
    ]


def of_classes(
    labels: NDArray[np.int64], classes: Sequence[str], groups: NDArray[np.int64] | None
) -> list[str]:
    """Problems with the classes of points and their natural groups.

    Args:
        labels: index into ``classes`` of each point.
        classes: class names.
        groups: natural group of each point, or None.
    """
    present = np.unique(labels)
    problems = []
    if len(present) == 1:
        problems.append(f"holds one class only, {classes[present[0]]}; at least two are needed")
    if groups is not None:
        _, first, group = np.unique(groups, return_index=True, return_inverse=True)
        strays = np.flatnonzero(labels != labels[first][group])
        if len(strays):
            problems.append(
                f"{len(np.unique(group[strays]))} natural groups hold points of several classes, "
                f"such as rows {first[group[strays[0]]]} and {strays[0]}; give each class groups "
                "of its own"
            )
    return problems


def _not_finite(points: NDArray[Any]) -> NDArray[np.int64]:
    """The rows with a number that is none."""
    step = max(1, CHUNK_BYTES // points[:1].nbytes)
    starts = range(0, len(points), step)
    is_wrong = [~np.isfinite(points[start : start + step]).all(1) for start in starts]
    return np.flatnonzero(np.concatenate(is_wrong))
