"""A study's points as MLflow's data set: named by their digest, with their number and shape."""

import json
from pathlib import Path
from typing import Any

from mlflow.entities import Dataset

from study.record import Record


def of_record(record: Record) -> Dataset:
    """The data set of a study: the same for all its runs, for MLflow keeps one of a digest.

    Its profile counts points, classes, and the points of the search and of the test; a record of an
    earlier version does not know them.

    Args:
        record: of the study.
    """
    source = record.config.data.source or ""
    sizes: dict[str, Any] = record.manifest.get("data") or {}
    return Dataset(
        name=Path(source).stem,
        digest=record.manifest["digests"]["data"][:32],
        source_type="local",
        source=json.dumps({"uri": source}),
        schema=json.dumps({"mlflow_colspec": _columns(sizes)}) if sizes else None,
        profile=json.dumps(sizes) if sizes else None,
    )


def _columns(sizes: dict[str, Any]) -> list[dict[str, str]]:
    """A point and its label, as MLflow's pages list the columns of a table."""
    # The data are read so: features as they are, images by their bytes.
    kind = "float32" if len(sizes["shape"]) == 1 else "uint8"
    shape = " x ".join(map(str, sizes["shape"]))
    return [
        {"name": "point", "type": f"{kind} [{shape}]"},
        {"name": "label", "type": f"one of {sizes['classes']} classes"},
    ]
