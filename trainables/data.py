"""Points with class labels: Parquet in, arrays out; scikit-learn's digits built in."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from trainables import columns

Array = TypeVar("Array")


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

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one point: ``(features,)`` or ``(channels, height, width)``."""
        return self.points.shape[1:]

    def __len__(self) -> int:
        return len(self.points)

    def take(
        self, rows: NDArray[np.integer[Any]] | Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch *shape"]:
        """A copy of the points in these rows, as float32; images are scaled to [0, 1]."""
        taken = torch.from_numpy(self.points[np.asarray(rows)])
        return taken if taken.is_floating_point() else taken.float().div_(255)

    def without_groups(self) -> "PointSet":
        """The same points with no natural groups; keeps the digest, which names the data."""
        return replace(self, groups=None)


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
    problems = [*_point_problems(points), *_class_problems(labels, classes, groups)]
    if problems:
        raise _data_error(source, problems)
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


def digits() -> PointSet:
    """scikit-learn's 1,797 handwritten digits: 64 features in [0, 1], 10 classes."""
    from sklearn.datasets import load_digits  # slow to import, and needed for this source only

    pixels, labels = load_digits(return_X_y=True)
    return point_set(
        (pixels / 16).astype(np.float32), labels, [str(digit) for digit in range(10)], "digits"
    )


def open_points(source: str) -> PointSet:
    """The points that a study file names: ``digits``, or the path of a Parquet file.

    Raises:
        DataError: if the source is neither, or :func:`read_parquet` refuses the file.
    """
    if source == "digits":
        return digits()
    if source.endswith(".parquet"):
        return read_parquet(Path(source))
    remedy = "name digits or the path of a .parquet file"
    if Path(source).exists():
        remedy = "make a .parquet file of it with `study data import`"
    raise DataError([f"{source}: is no source of points; {remedy}"])


def read_parquet(path: Path) -> PointSet:
    """Points of a Parquet file; columns other than these are left out.

    - ``features``: lists of equally many numbers; or ``image``: bytes, or lists of uint8, in the
      order channels, height, width, with ``height``, ``width`` and ``channels`` (default 1) in the
      schema metadata.
    - ``label``: strings or integers.
    - ``group``, optional: strings or integers, the natural group, which lies within one class.
    - ``split``, optional: train or background, test or evaluation.

    Raises:
        DataError: with every problem of the file.
    """
    try:
        table = columns.table(path)
    except columns.ColumnError as error:
        raise _data_error(path, [str(error)]) from error
    problems: list[str] = []

    def read(array: Callable[..., Array], *arguments: str) -> Array | None:
        try:
            return array(table, *arguments)
        except columns.ColumnError as error:
            problems.append(str(error))
            return None

    points, labels = read(columns.points), read(columns.names, "label")
    groups = read(columns.names, "group") if "group" in table.column_names else None
    is_test = read(columns.is_test) if "split" in table.column_names else None
    group_index = groups[0] if groups else None
    if points is not None and labels is not None and not problems:
        return point_set(points, *labels, str(path), groups=group_index, is_test=is_test)
    if points is not None:
        problems += _point_problems(points)
    if labels is not None:
        problems += _class_problems(*labels, group_index)
    raise _data_error(path, problems)


def write_parquet(points: PointSet, path: Path) -> None:
    """Writes what :func:`read_parquet` reads; the digest survives.

    Images become fixed-size binaries, which read ten times faster than lists of bytes.
    """
    name, values, metadata = columns.encoded(points.points)
    table = {name: values, "label": columns.dictionary(points.labels, points.classes)}
    if points.groups is not None:
        table["group"] = pa.array(points.groups)
    if points.is_test is not None:
        table["split"] = columns.dictionary(points.is_test, ("train", "test"))
    pq.write_table(pa.table(table, metadata=metadata), path, compression="zstd")


def _point_problems(points: NDArray[Any]) -> list[str]:
    if points.size == 0:
        return ["holds no points; points of at least two classes are needed"]
    if points.dtype == np.uint8:
        return []
    wrong = np.flatnonzero(~np.isfinite(points).all(1))
    if len(wrong) == 0:
        return []
    return [
        f"features are NaN or infinite in {len(wrong)} of {len(points)} points, the first is row "
        f"{wrong[0]}; remove or repair them"
    ]


def _class_problems(
    labels: NDArray[np.int64], classes: Sequence[str], groups: NDArray[np.int64] | None
) -> list[str]:
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


def _data_error(place: Path | str, problems: list[str]) -> DataError:
    return DataError([f"{place}: {problem}" for problem in problems])


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
