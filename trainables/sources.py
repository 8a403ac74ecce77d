"""Where points come from: Parquet in, arrays out, or scikit-learn's digits."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from socket import gethostname
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from trainables import columns, decoding, node_files, point_problems
from trainables.data import DataError, PointSet, digits, point_set
from trainables.limits import memory_bytes

Array = TypeVar("Array")
MAPPED_SHARE = 0.25
"""Of this machine's memory: a Parquet file of more points is decoded into a file that processes
map. Points in memory are there up to three times while they are read and shared."""


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

    Points that take more than ``MAPPED_SHARE`` of the memory are decoded batch by batch into a
    file of this node, see :mod:`trainables.node_files`, and mapped: equal in everything else.

    Raises:
        DataError: with every problem of the file, or if the file of this node cannot be written.
    """
    try:
        file = columns.opened(path)
        if decoding.decoded_bytes(file) > MAPPED_SHARE * memory_bytes():
            return _mapped(path)
        table = columns.table(file)
        return _of_columns(path, table, lambda: decoding.whole(table))
    except (columns.UnreadableError, node_files.NodeFileError) as error:
        raise _data_error(path, [str(error)]) from error


def write_parquet(points: PointSet, path: Path) -> None:
    """Writes what :func:`read_parquet` reads; the digest survives.

    Images become fixed-size binaries, which read ten times faster than lists of bytes.
    """
    name, values, metadata = decoding.encoded(points.points)
    table = {name: values, "label": columns.dictionary(points.labels, points.classes)}
    if points.groups is not None:
        table["group"] = pa.array(points.groups)
    if points.is_test is not None:
        table["split"] = columns.dictionary(points.is_test, ("train", "test"))
    pq.write_table(pa.table(table, metadata=metadata), path, compression="zstd")


def _of_columns(path: Path, table: pa.Table, decode: Callable[[], NDArray[Any]]) -> PointSet:
    """The points of a file, or every problem of its columns."""
    problems: list[str] = []

    def read(array: Callable[..., Array], *arguments: Any) -> Array | None:
        try:
            return array(*arguments)
        except columns.ColumnError as error:
            problems.append(str(error))
            return None

    points, labels = read(decode), read(columns.names, table, "label")
    groups = read(columns.names, table, "group") if "group" in table.column_names else None
    is_test = read(columns.is_test, table) if "split" in table.column_names else None
    group_index = groups[0] if groups else None
    if points is not None and labels is not None and not problems:
        return point_set(points, *labels, str(path), groups=group_index, is_test=is_test)
    if points is not None:
        problems += point_problems.of_points(points)
    if labels is not None:
        problems += point_problems.of_classes(*labels, group_index)
    raise _data_error(path, problems)


def _mapped(path: Path) -> PointSet:
    arrays, notes = node_files.stored(path, partial(_store, path))
    return PointSet(
        points=arrays["points"],
        labels=arrays["labels"],
        classes=tuple(notes["classes"]),
        groups=arrays.get("groups"),
        is_test=arrays.get("is_test"),
        source=str(path),
        digest=notes["digest"],
        remap=partial(_mapped_again, path.absolute()),
    )


def _store(path: Path, folder: Path) -> dict[str, Any]:
    """Writes the arrays of a file's points into a folder; returns the rest."""
    with columns.opened(path, **decoding.STREAMED) as file:
        table = columns.table_without_points(file)
        found = _of_columns(path, table, lambda: decoding.streamed(file, folder / "points.npy"))
    for name in ("labels", "groups", "is_test"):
        array = getattr(found, name)
        if array is not None:
            np.save(folder / name, array)
    return {"classes": found.classes, "digest": found.digest}


def _mapped_again(origin: Path, kept: dict[str, Any]) -> PointSet:
    """The mapped points of a pickle, on the node where it is unpickled."""
    try:
        found = _mapped(origin)
    except (columns.UnreadableError, node_files.NodeFileError) as error:
        problem = f"{error}; points of this size are read on every node, from under the same path"
        raise _data_error(origin, [f"on {gethostname()}: {problem}"]) from error
    if found.digest != kept["digest"]:
        problem = f"on {gethostname()}: holds other points than where they were opened first; "
        raise _data_error(origin, [f"{problem}put back what it held, or launch again"])
    return PointSet(points=found.points, **kept)


def _data_error(place: Path, problems: list[str]) -> DataError:
    return DataError([f"{place}: {problem}" for problem in problems])
