"""What attempts leave besides their outcomes: files, of which some may be gone or damaged since."""

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from study.errors import RecordError
from study.record import Record, Result
from trainables import places

if TYPE_CHECKING:
    from torch import Tensor


def table(record: Record, result: Result, name: str) -> pa.Table | None:
    """A table of the attempt that counts; None if it has none.

    Raises:
        RecordError: if the file is damaged.
    """
    path = record.files(result) / f"{name}.parquet"
    if not path.exists():
        return None
    try:
        return pq.read_table(places.readable(path))
    except pa.ArrowException as error:
        remedy = "restore it, or remove it to do without"
        raise _damaged(record, path, f"is damaged; {remedy}") from error


def tensors(record: Record, result: Result, name: str) -> "dict[str, Tensor]":
    """Tensors of the attempt that counts, by name.

    Raises:
        RecordError: if the file is missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    path = record.files(result) / f"{name}.safetensors"
    try:
        return load(path.read_bytes())
    except FileNotFoundError as error:
        raise _damaged(record, path, "is missing; restore it") from error
    except SafetensorError as error:
        raise _damaged(record, path, "is damaged; restore it") from error


def _damaged(record: Record, path: Any, what: str) -> RecordError:
    shown = str(path).removeprefix(f"{record.folder}/")
    return RecordError(record.folder, [f"{shown}: {what}"])
