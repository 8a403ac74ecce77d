"""Brings foreign data into the Parquet schema of studies."""

import os
from contextlib import suppress
from pathlib import Path

from study.command import command
from study.errors import ConfigError
from trainables.data import DataError, PointSet
from trainables.importers.recognise import import_points
from trainables.sources import write_parquet


def bring(source: Path, out: Path, size: int | None = None) -> str:
    """Imports ``source``, writes ``out`` whole or not at all, and says what it holds and what now.

    Args:
        source: a file or folder in a known format.
        out: the Parquet file to write; an existing one is replaced.
        size: height and width in pixels that every image is resized to, or None.

    Raises:
        ConfigError: with every problem of the source, or if ``out`` cannot be written.
    """
    problems = _out_problems(out)
    if problems:  # before the source is read, which may take minutes
        raise ConfigError(out, problems)
    try:
        points = import_points(source, size)
    except DataError as error:
        prefix = f"{source}: "
        raise ConfigError(source, [text.removeprefix(prefix) for text in error.problems]) from error
    _write(points, out)
    onward = command("init", out, "--out", out.with_suffix(".yaml"))
    return f"{out}: {_content(points)}\nnext: {onward}"


def _out_problems(out: Path) -> list[str]:
    problems = []
    if out.suffix != ".parquet":
        problems.append("must end in .parquet, so that study files can name it")
    if not out.parent.is_dir():
        problems.append(f"cannot be written: {out.parent} is no folder; create it first")
    return problems


def _write(points: PointSet, out: Path) -> None:
    partial = out.with_name(f".{out.name}.partial")
    try:
        write_parquet(points, partial)
        os.replace(partial, out)
    except OSError as error:
        raise ConfigError(out, [f"cannot be written: {error.strerror or error}"]) from error
    finally:
        with suppress(OSError):  # gone where all went well
            partial.unlink()


def _content(points: PointSet) -> str:
    text = f"{len(points)} points of shape {points.shape}, {len(points.classes)} classes"
    if points.is_test is None:
        return text
    return f"{text}; the official split holds out {points.is_test.sum()} points for the test"
