"""The column of a Parquet file that holds its points: what it says of itself, and whether it is so.

Rows are counted from 0, in arrays and in messages.
"""

from math import prod
from typing import Any, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from trainables.columns import POINTS, ColumnError, null_error, remedy, require_one

SIDES = ("channels", "height", "width")


@final
class PointColumn:
    """What a file says of its points, and whether the rows seen so far are as it says.

    Args:
        schema: of the file.

    Raises:
        ColumnError: if there is not exactly one of the columns features and image, or the schema
            metadata lack the shape of the images.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self.name = _name(schema)
        self._shape = image_shape(schema) if self.name == "image" else None
        require_one(schema, self.name)
        self._type = schema.field(self.name).type
        self._type_problem = _type_problem(self.name, self._type)
        self._rows = self._nulls = self._first_null = 0
        self._length: int | None = None
        self._other: tuple[int, int] | None = None
        self._holds_nulls = False

    @property
    def is_sound(self) -> bool:
        """Whether the rows seen so far can be decoded."""
        return self._problem() is None

    def add(self, values: pa.ChunkedArray) -> None:
        """Looks at the next rows."""
        first, self._rows = self._rows, self._rows + len(values)
        if values.null_count:
            if not self._nulls:
                self._first_null = first + int(np.flatnonzero(values.is_null())[0])
            self._nulls += values.null_count
        if not (self._nulls or self._type_problem):
            self._measure(values, first)

    def require(self) -> None:
        """Makes sure that all rows can be decoded.

        Raises:
            ColumnError: if they cannot.
        """
        problem = self._problem()
        if problem:
            raise problem

    def decoded(self, values: pa.ChunkedArray) -> NDArray[Any]:
        """Rows of a sound column: ``[n, features]`` or ``[n, channels, height, width]``."""
        width = self._length or 0
        if _is_binary(self._type):
            flat = _bytes(values.cast(pa.binary(width)))
        else:
            flat = _joined(pc.list_flatten(values))
        if self._shape:
            return flat.reshape(len(values), *self._shape)
        # A double beyond float32 becomes infinite: reported as such.
        with np.errstate(over="ignore"):
            return flat.astype(np.float32, copy=False).reshape(len(values), width)

    def _measure(self, values: pa.ChunkedArray, first: int) -> None:
        if _is_binary(self._type):
            lengths = pc.binary_length(values).to_numpy()
        else:
            lengths = pc.list_value_length(values).to_numpy()
            self._holds_nulls |= pc.list_flatten(values).null_count > 0
        if self._length is None and len(lengths):
            self._length = int(lengths[0])
        different = np.flatnonzero(lengths != self._length)
        if len(different) and self._other is None:
            self._other = first + int(different[0]), int(lengths[different[0]])

    def _problem(self) -> ColumnError | None:
        """What is wrong, the first of several."""
        name, unit = self.name, "bytes" if self._shape else "numbers"
        if self._nulls:
            return null_error(name, self._nulls, self._rows, self._first_null)
        if self._type_problem:
            return self._type_problem
        if self._other:
            row, length = self._other
            return ColumnError(
                f"column {name} must hold equally many {unit} in every row; row 0 holds "
                f"{self._length}, row {row} holds {length}"
            )
        if self._holds_nulls:
            problem = f"column {name} holds nulls among its {unit}; remove or repair them"
            return ColumnError(problem)
        return self._shape_problem()

    def _shape_problem(self) -> ColumnError | None:
        if not (self._shape and self._rows) or self._length == prod(self._shape):
            return None
        return ColumnError(
            f"column image must hold {prod(self._shape)} bytes a row (channels x height x width = "
            f"{' x '.join(map(str, self._shape))}), holds {self._length}; correct the schema "
            "metadata"
        )


def image_shape(schema: pa.Schema) -> tuple[int, ...]:
    """Channels, height and width of the images of a file.

    Raises:
        ColumnError: if the schema metadata lack one of them.
    """
    metadata = {"channels": "1", **_metadata(schema)}
    sides = {side: metadata.get(side, "") for side in SIDES}
    wrong = [side for side, text in sides.items() if not text.isdecimal() or int(text) < 1]
    if wrong:
        raise ColumnError(
            f"schema metadata {', '.join(wrong)} must be a positive integer, for the shape of the "
            f"images, got {', '.join(sides[side] or 'nothing' for side in wrong)}"
        )
    return tuple(int(text) for text in sides.values())


def _name(schema: pa.Schema) -> str:
    found = [name for name in POINTS if name in schema.names]
    if len(found) > 1:
        raise ColumnError("columns features and image exclude each other; remove one of them")
    if not found:
        raise ColumnError(f"column features or image is missing; {remedy(schema, *POINTS)}")
    stated = _metadata(schema).get("kind", found[0])
    if stated != found[0]:
        raise ColumnError(
            f"schema metadata kind must be {found[0]} for a column {found[0]}, is {stated}"
        )
    return found[0]


def _metadata(schema: pa.Schema) -> dict[str, str]:
    metadata = schema.metadata or {}
    return {
        key.decode(errors="replace"): metadata[key].decode(errors="replace") for key in metadata
    }


def _type_problem(name: str, kind: pa.DataType) -> ColumnError | None:
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    is_list = is_list or pa.types.is_fixed_size_list(kind)
    if name == "features":
        expected = "lists of numbers"
        is_right = is_list and (
            pa.types.is_integer(kind.value_type) or pa.types.is_floating(kind.value_type)
        )
    else:
        expected = "binary or lists of uint8"
        is_right = _is_binary(kind) or (is_list and pa.types.is_uint8(kind.value_type))
    if is_right:
        return None
    return ColumnError(f"column {name} must hold {expected}, holds {kind}; convert it")


def _is_binary(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_fixed_size_binary(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
    )


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
