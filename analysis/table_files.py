"""Tables as files: Parquet and CSV for one's own pictures, Markdown and LaTeX for papers."""

import json
import os
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from pyarrow import csv, parquet

DIGITS = 3
UNKNOWN = "–"


def write_tables(frames: Mapping[str, pd.DataFrame], folder: Path) -> None:
    """Writes ``NAME.parquet`` and ``NAME.csv`` in full precision, ``NAME.md`` and ``NAME.tex``.

    Args:
        frames: by the name of their files.
        folder: where to write; made if absent.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in frames.items():
        write_data(frame, folder / name)
        shown = for_reading(frame)
        markdown = shown.replace(r"\|", r"\|", regex=True).to_markdown(index=False)
        replace(folder / f"{name}.md", f"{markdown}\n".encode())
        style = shown.style.hide(axis="index").format(escape="latex")
        latex = style.format_index(escape="latex", axis="columns").to_latex(hrules=True)
        replace(folder / f"{name}.tex", latex.encode())


def write_data(frame: pd.DataFrame, stem: Path) -> None:
    """Writes a frame as Parquet and as CSV, in full precision.

    Args:
        frame: what to write.
        stem: path of both files, without their endings.
    """
    table = pa.Table.from_pandas(frame, preserve_index=False)
    for ending, write in ((".parquet", parquet.write_table), (".csv", _write_csv)):
        stream = BytesIO()
        write(table, stream)
        replace(stem.with_name(stem.name + ending), stream.getvalue())


def _write_csv(table: pa.Table, stream: BytesIO) -> None:
    """Lists become JSON, of which nothing is left out."""
    texts = [
        pa.array(map(json.dumps, column.to_pylist())) if pa.types.is_list(column.type) else column
        for column in table.columns
    ]
    csv.write_csv(pa.table(texts, table.column_names), stream)


def for_reading(frame: pd.DataFrame) -> pd.DataFrame:
    """Text of every cell: numbers of few digits, an interval in the cell of its mean.

    Args:
        frame: a table; the interval of a column ``q`` is in ``q_low`` and ``q_high``.

    Returns:
        The same rows, without the columns of intervals.
    """
    means = {name for name in frame if {f"{name}_low", f"{name}_high"} <= {*frame}}
    ends = {f"{name}_{end}" for name in means for end in ("low", "high")}
    shown = frame.map(_cell).astype(object)
    for name in means:
        low, high = shown[f"{name}_low"], shown[f"{name}_high"]
        with_interval = shown[name] + " [" + low + ", " + high + "]"
        shown[name] = shown[name].where(frame[f"{name}_low"].isna(), with_interval)
    return shown.drop(columns=list(ends)).rename(columns=lambda name: str(name).replace("_", " "))


def replace(path: Path, content: bytes) -> None:
    """Writes a file at once: a reader sees the old one or the new one, never half of either."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_bytes(content)
    unfinished.replace(path)


def _cell(value: Any) -> str:
    if pd.isna(value):
        return UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, float):
        return str(value)
    return f"{value:.{DIGITS}f}" if value == 0 or abs(value) >= 10**-DIGITS else f"{value:.1e}"
