"""Small columns of a Parquet file as arrays, or the reason why they cannot be.

Rows are counted from 0, in arrays and in messages.
"""

import difflib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

POINTS = ("image", "features")
"""Columns of points, of which a file has one."""
NAMES = (*POINTS, "label", "group", "split")
IS_TEST = {"train": False, "background": False, "test": True, "evaluation": True}


class UnreadableError(ValueError):
    """A file that is missing or damaged, or no Parquet."""


class ColumnError(ValueError):
    """A column that is missing or cannot be read, with the remedy."""


@contextmanager
def reading() -> Iterator[None]:
    """Names what keeps a file from being read, as an :class:`UnreadableError`."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        problem = f"cannot be read as Parquet: {str(error).splitlines()[0]}"
        raise UnreadableError(problem) from error


def opened(path: Path, **options: Any) -> pq.ParquetFile:
    """A Parquet file, of which only the footer is read yet.

    Args:
        path: of the file.
        options: of pyarrow's reader.

    Raises:
        UnreadableError: if there is no such file, or it is not Parquet.
    """
    if not path.is_file():
        raise UnreadableError("there is no such file")
    with reading():
        return pq.ParquetFile(path, **options)


def table(file: pq.ParquetFile) -> pa.Table:
    """The columns ``NAMES`` of a file; any others hold nulls, and serve messages only.

    Raises:
        UnreadableError: if the file is damaged.
    """
    with reading():
        return _with_others(file.read(_chosen(file, NAMES)), file)


def table_without_points(file: pq.ParquetFile) -> pa.Table:
    """As :func:`table`, with nulls for the points too; of a file that has rows.

    Raises:
        UnreadableError: if the file is damaged.
    """
    with reading():
        # Arrow's `read` reserves memory for as many values as the file's first column has, which
        # may be that of the points.
        chosen = _chosen(file, set(NAMES) - set(POINTS))
        batches = list(file.iter_batches(columns=chosen, use_threads=False))
        return _with_others(pa.Table.from_batches(batches), file)


def names(table: pa.Table, name: str) -> tuple[NDArray[np.int64], list[str]]:
    """A column of strings or integers as an index into its distinct values, by first appearance.

    Raises:
        ColumnError: if the column is missing, has nulls or is of another type.
    """
    require_one(table.schema, name)
    column = table[name]
    if column.null_count:
        first = int(np.flatnonzero(column.is_null())[0])
        raise null_error(name, column.null_count, len(column), first)
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


def dictionary(index: NDArray[Any], values: Sequence[str]) -> pa.DictionaryArray:
    """A column of few distinct strings, each row an index into ``values``."""
    return pa.DictionaryArray.from_arrays(pa.array(index.astype(np.int32)), pa.array(values))


def require_one(schema: pa.Schema, name: str) -> None:
    """Makes sure that there is exactly one column of a name.

    Raises:
        ColumnError: if there is none, or more than one.
    """
    if name not in schema.names:
        raise ColumnError(f"column {name} is missing; {remedy(schema, name)}")
    if schema.names.count(name) > 1:
        raise ColumnError(f"column {name} occurs more than once; keep one of them")


def remedy(schema: pa.Schema, *wanted: str) -> str:
    """What to do where a column is missing."""
    for name in wanted:
        close = difflib.get_close_matches(name, schema.names, n=1)
        if close:
            return f"did you mean {name} by {close[0]}?"
    return f"the columns are {', '.join(sorted(schema.names)) or 'none'}"


def null_error(name: str, nulls: int, rows: int, first: int) -> ColumnError:
    """The error of a column that has nulls."""
    return ColumnError(
        f"column {name} is null in {nulls} of {rows} rows, the first is row {first}; fill or "
        "remove them"
    )


def _chosen(file: pq.ParquetFile, names: Collection[str]) -> list[str]:
    return [name for name in file.schema_arrow.names if name in names]


def _with_others(columns: pa.Table, file: pq.ParquetFile) -> pa.Table:
    for name in set(file.schema_arrow.names) - set(columns.column_names):
        columns = columns.append_column(name, pa.nulls(len(columns)))
    return columns


def _is_string(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )
