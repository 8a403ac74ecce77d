"""Points between a column of a Parquet file and an array: all at once, or batch by batch."""

import errno
import os
import shutil
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from trainables.columns import POINTS, ColumnError, reading
from trainables.point_column import SIDES, PointColumn, image_shape

BATCH_BYTES = 4 << 20
"""Decoded at a time; what decodes them takes a few times as much."""
STREAMED = {"pre_buffer": False, "buffer_size": 1 << 20}
"""How a file is opened of which a column is not read a row group at a time, however large."""


def decoded_bytes(file: pq.ParquetFile) -> int:
    """Bytes of the points as an array, from the footer alone; a guess where their shape is bad."""
    schema, groups = file.schema_arrow, file.metadata.num_row_groups
    chunks = (
        group.column(place)
        for group in map(file.metadata.row_group, range(groups))
        for place in range(group.num_columns)
    )
    return sum(_decoded_bytes(chunk, schema) for chunk in chunks)


def whole(table: pa.Table) -> NDArray[Any]:
    """Features ``[n, features]`` float32, or images ``[n, channels, height, width]`` uint8.

    Raises:
        ColumnError: if there is not exactly one of the columns features and image, its type or its
            lengths are wrong, or the schema metadata lack the shape of the images.
    """
    column = PointColumn(table.schema)
    values = table[column.name]
    column.add(values)
    column.require()
    return column.decoded(values)


def streamed(file: pq.ParquetFile, target: Path) -> NDArray[Any]:
    """What :func:`whole` gives, written batch by batch into a file in npy format and mapped.

    Args:
        file: opened as ``STREAMED``; it has rows.
        target: of the file to write, as large as the array.

    Raises:
        ColumnError: as by :func:`whole`.
        UnreadableError: if the Parquet file is damaged.
        OSError: if the target cannot be written.
    """
    column = PointColumn(file.schema_arrow)
    with target.open("wb") as written:
        for values in _batches(file, column.name):
            column.add(values)
            if column.is_sound:
                array = column.decoded(values)
                if written.tell() == 0:
                    _begin(written, array, file.metadata.num_rows)
                written.write(array.data)
    column.require()
    mapped: NDArray[Any] = np.load(target, mmap_mode="r")
    return mapped


def encoded(points: NDArray[Any]) -> tuple[str, pa.Array, dict[str, str]]:
    """What :func:`whole` reads back: the column's name, its values and the schema metadata.

    Images become fixed-size binaries, which read ten times faster than lists of bytes.
    """
    flat, shape = points.reshape(-1), points.shape[1:]
    if len(shape) == 1:
        kind = pa.list_(pa.field("element", pa.float32()), *shape)
        values = pa.FixedSizeListArray.from_arrays(pa.array(flat), type=kind)
        return "features", values, {"kind": "features"}
    sides = dict(zip(SIDES, map(str, shape), strict=True))
    buffers = [None, pa.py_buffer(flat)]
    values = pa.Array.from_buffers(pa.binary(prod(shape)), len(points), buffers)
    return "image", values, {"kind": "image", **sides}


def _batches(file: pq.ParquetFile, name: str) -> Iterator[pa.ChunkedArray]:
    """The values of a column, as many rows at a time as are decoded together."""
    rows = file.metadata.num_rows
    of_row = decoded_bytes(file) // rows
    with reading():
        size = max(1, BATCH_BYTES // max(1, of_row))
        # Of one column threads decode nothing side by side.
        for batch in file.iter_batches(size, columns=[name], use_threads=False):
            yield pa.chunked_array([batch.column(name)])


def _begin(written: BinaryIO, first: NDArray[Any], rows: int) -> None:
    """Writes what npy files begin with, where there is room for as many rows as the first ones."""
    if shutil.disk_usage(Path(written.name).parent).free < rows * first[:1].nbytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    header = {"descr": first.dtype.str, "fortran_order": False, "shape": (rows, *first.shape[1:])}
    np.lib.format.write_array_header_2_0(written, header)


def _decoded_bytes(chunk: pq.ColumnChunkMetaData, schema: pa.Schema) -> int:
    name, _, is_list = chunk.path_in_schema.partition(".")
    if name not in POINTS:
        return 0
    if is_list:
        return int(chunk.num_values) * (4 if name == "features" else 1)
    try:
        return int(chunk.num_values) * prod(image_shape(schema))
    except ColumnError:
        return int(chunk.total_uncompressed_size)
