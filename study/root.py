"""Whether the folder of all studies can hold one: on this machine, or on an object store."""

import tempfile
from os.path import exists
from pathlib import Path
from uuid import uuid4

from study.addresses import reason
from trainables import places
from trainables.places import Place


def problems(root: Place, name: str, database: str | None, tracking: str | None) -> list[str]:
    """Why a study cannot be kept below a root; empty where it can.

    Args:
        root: the folder of all studies.
        name: of the study; empty where it is not known.
        database: address of the study's own, or None.
        tracking: address of MLflow, or None.
    """
    if isinstance(root, Path):
        return _of_folder(root, name)
    missing = [
        f"{key}: is missing; {what} cannot lie on an object store, say {remedy}"
        for key, value, what, remedy in (
            ("storage.database", database, "Optuna's journal", "postgresql://HOST/NAME"),
            ("tracking.uri", tracking, "MLflow's SQLite file", "http(s)://HOST:PORT"),
        )
        if value is None
    ]
    return missing + _of_store(root)


def _of_folder(root: Path, name: str) -> list[str]:
    folder = root.absolute() / name
    existing = next(place for place in (folder, *folder.parents) if exists(place))
    refusal = f"--root {root}: cannot hold studies"
    if not existing.is_dir():
        return [f"{refusal}; {existing} is not a folder"]
    try:
        # Permissions alone do not tell: a file system may be read-only, or no place for files.
        with tempfile.TemporaryFile(dir=existing):
            return []
    except OSError:
        return [f"{refusal}; {existing} is not writable"]


def _of_store(root: Place) -> list[str]:
    probe = root / f".probe-{uuid4().hex}"
    try:
        places.replace(probe, b"")
        places.remove(probe)
    except Exception as error:  # whatever the client of an object store may raise
        return [f"--root {root}: cannot hold studies; {reason(error)}"]
    return []
