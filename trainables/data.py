"""Points with class labels: Parquet in, arrays out; scikit-learn's digits built in."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray


class DataError(ValueError):
    """A data file that cannot be studied.

    Args:
        problems: every problem found, each as ``place: what is wrong; what was meant``.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


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
    """

    points: NDArray[Any]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    groups: NDArray[np.int64] | None
    is_test: NDArray[np.bool_] | None
    source: str
    digest: str
