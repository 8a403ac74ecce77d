"""Columns of a Parquet table as arrays, or the reason why they cannot be.

Rows are counted from 0, in arrays and in messages.
"""

import difflib
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

Kind = Literal["image", "features"]
NAMES = ("features", "image", "label", "group", "split")
SIDES = ("channels", "height", "width")
IS_TEST = {"train": False, "background": False, "test": True, "evaluation": True}


class ColumnError(ValueError):
    """A file or a column that is missing or cannot be read, with the remedy."""


def table(path: Path) -> pa.Table:
    """The columns ``NAMES`` of a Parquet file; any others hold nulls, and serve messages only.

    Raises:
        ColumnError: if there is no such file, or it is not Parquet.
    """
    if not path.is_file():
        raise ColumnError("there is no such file")
    try:
        file = pq.ParquetFile(path)
        columns = file.read([name for name in file.schema_arrow.names if name in NAMES])
    except (pa.ArrowException, OSError) as error:
        raise ColumnError(f"cannot be read as Parquet: {str(error).splitlines()[0]}") from error
    for name in file.schema_arrow.names:
        if name not in NAMES:
            columns = columns.append_column(name, pa.nulls(len(columns)))
    return columns


def points(table: pa.Table) -> NDArray[Any]:
    """Features ``[n, features]`` float32, or images ``[n, channels, height, width]`` uint8.

    Raises:
        ColumnError: if there is not exactly one of the columns features and image, its type or its
            lengths are wrong, or the schema metadata lack the shape of the images.
    """
    return _images(table) if _kind(table) == "image" else _features(table)


def names(table: pa.Table, name: str) -> tuple[NDArray[np.int64], list[str]]:
    """A column of strings or integers as an index into its distinct values, by first appearance.

    Raises:
        ColumnError: if the column is missing, has nulls or is of another type.
    """
    column = _without_nulls(table, name)
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not (pa.types.is_integer(kind) or _is_string(kind)):
        raise ColumnError(f"column {name} must hold strings or integers, holds {kind}; convert it")
    # Through strings, because dictionaries may differ from chunk to chunk.
    encoded = column.cast(pa.string()).dictionary_encode().combine_chunks()
    return encoded.indices.to_numpy().astype(np.int64), encoded.dictionary.to_pylist()


def is_test(table: pa.Table) -> NDArray[np.bool_]:
    """Whether the column split holds a point out for the test.

    Raises:
        ColumnError: as :func:`names`, or for a value that is not one of ``IS_TEST``.
    """
    index, values = names(table, "split")
    unknown = sorted(set(values) - set(IS_TEST))
    if unknown:
        raise ColumnError(
            f"column split must hold train or test, holds {', '.join(unknown)}; rename or remove it"
        )
    return np.array([IS_TEST[value] for value in values], dtype=np.bool_)[index]


def encoded(points: NDArray[Any]) -> tuple[str, pa.Array, dict[str, str]]:
    """What :func:`points` reads back: the column's name, its values and the schema metadata.

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


def dictionary(index: NDArray[Any], values: Sequence[str]) -> pa.DictionaryArray:
    """A column of few distinct strings, each row an index into ``values``."""
    return pa.DictionaryArray.from_arrays(pa.array(index.astype(np.int32)), pa.array(values))


def _kind(table: pa.Table) -> Kind:
    kinds: tuple[Kind, ...] = ("image", "features")
    found = [kind for kind in kinds if kind in table.column_names]
    if len(found) > 1:
        raise ColumnError("columns features and image exclude each other; remove one of them")
    if not found:
        raise ColumnError(f"column features or image is missing; {_remedy(table, *kinds)}")
    stated = _metadata(table).get("kind", found[0])
    if stated != found[0]:
        raise ColumnError(
            f"schema metadata kind must be {found[0]} for a column {found[0]}, is {stated}"
        )
    return found[0]


def _features(table: pa.Table) -> NDArray[np.float32]:
    column = _without_nulls(table, "features")
    _require_list(column, "features", pa.types.is_integer, pa.types.is_floating)
    width = _common_length(pc.list_value_length(column), "features", "numbers")
    values = pc.list_flatten(column)
    if values.null_count:
        raise ColumnError("column features holds nulls among its numbers; remove or repair them")
    with np.errstate(over="ignore"):  # a double beyond float32 becomes infinite: reported as such
        return _joined(values).astype(np.float32, copy=False).reshape(len(column), width)


def _images(table: pa.Table) -> NDArray[np.uint8]:
    shape = _image_shape(table)
    column = _without_nulls(table, "image")
    if _is_binary(column.type):
        width = _common_length(pc.binary_length(column), "image", "bytes")
        flat = _bytes(column.cast(pa.binary(width)))
    else:
        _require_list(column, "image", pa.types.is_uint8)
        width = _common_length(pc.list_value_length(column), "image", "bytes")
        flat = _joined(pc.list_flatten(column))
    if len(column) and width != prod(shape):
        text = " x ".join(map(str, shape))
        raise ColumnError(
            f"column image must hold {prod(shape)} bytes a row (channels x height x width = {text})"
            f", holds {width}; correct the schema metadata"
        )
    return flat.reshape(len(column), *shape)


def _image_shape(table: pa.Table) -> tuple[int, ...]:
    metadata = {"channels": "1", **_metadata(table)}
    sides = {side: metadata.get(side, "") for side in SIDES}
    wrong = [side for side, text in sides.items() if not text.isdecimal() or int(text) < 1]
    if wrong:
        raise ColumnError(
            f"schema metadata {', '.join(wrong)} must be a positive integer, for the shape of the "
            f"images, got {', '.join(sides[side] or 'nothing' for side in wrong)}"
        )
    return tuple(int(text) for text in sides.values())


def _without_nulls(table: pa.Table, name: str) -> pa.ChunkedArray:
    if name not in table.column_names:
        raise ColumnError(f"column {name} is missing; {_remedy(table, name)}")
    if table.column_names.count(name) > 1:
        raise ColumnError(f"column {name} occurs more than once; keep one of them")
    column = table[name]
    if column.null_count:
        first = int(np.flatnonzero(column.is_null())[0])
        raise ColumnError(
            f"column {name} is null in {column.null_count} of {len(column)} rows, the first is row "
            f"{first}; fill or remove them"
        )
    return column


def _remedy(table: pa.Table, *wanted: str) -> str:
    for name in wanted:
        close = difflib.get_close_matches(name, table.column_names, n=1)
        if close:
            return f"did you mean {name} by {close[0]}?"
    return f"the columns are {', '.join(sorted(table.column_names)) or 'none'}"


def _require_list(column: pa.ChunkedArray, name: str, *accepted: Any) -> None:
    kind = column.type
    is_list = pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind)
    if not (is_list or pa.types.is_large_list(kind)) or not any(
        accepts(kind.value_type) for accepts in accepted
    ):
        expected = {"image": "binary or lists of uint8", "features": "lists of numbers"}[name]
        raise ColumnError(f"column {name} must hold {expected}, holds {kind}; convert it")


def _common_length(lengths: pa.ChunkedArray, name: str, unit: str) -> int:
    counts = lengths.to_numpy()
    different = np.flatnonzero(counts != counts[:1])
    if len(different):
        row = int(different[0])
        raise ColumnError(
            f"column {name} must hold equally many {unit} in every row; row 0 holds {counts[0]}, "
            f"row {row} holds {counts[row]}"
        )
    return int(counts[0]) if len(counts) else 0


def _joined(values: pa.ChunkedArray) -> NDArray[Any]:
    """The numbers of all chunks; a single chunk is not copied."""
    chunks = [chunk.to_numpy() for chunk in values.chunks]
    return chunks[0] if len(chunks) == 1 else np.concatenate(chunks or [np.empty(0, np.uint8)])


def _bytes(column: pa.ChunkedArray) -> NDArray[np.uint8]:
    """The bytes of fixed-size binaries in all chunks; a single chunk is not copied."""
    width = column.type.byte_width
    chunks = [
        np.frombuffer(chunk.buffers()[1], np.uint8, len(chunk) * width, chunk.offset * width)
        for chunk in column.chunks
        if len(chunk)
    ]
    return chunks[0] if len(chunks) == 1 else np.concatenate(chunks or [np.empty(0, np.uint8)])


def _metadata(table: pa.Table) -> dict[str, str]:
    metadata = table.schema.metadata or {}
    return {
        key.decode(errors="replace"): metadata[key].decode(errors="replace") for key in metadata
    }


def _is_string(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _is_binary(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_fixed_size_binary(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
    )
