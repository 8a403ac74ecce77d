"""Brings foreign data into the Parquet schema of studies."""

from pathlib import Path

from study.errors import ConfigError
from trainables.data import DataError, write_parquet
from trainables.importers.recognise import import_points


def bring(source: Path, out: Path) -> str:
    """Imports ``source``, writes ``out``, and says what it now holds.

    Raises:
        ConfigError: with every problem of the source, or if ``out`` cannot be written.
    """
    try:
        points = import_points(source)
        write_parquet(points, out)
    except DataError as error:
        raise ConfigError(source, error.problems) from error
    except OSError as error:
        raise ConfigError(out, [f"cannot be written: {error.strerror}"]) from error
    return f"{out}: {len(points)} points of shape {points.shape}, {len(points.classes)} classes"
