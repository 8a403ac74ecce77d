"""Arrays that are too large for memory, in files that all processes of a node map.

They are made of a source once per node, by one of the processes that ask for them at once, and are
found again from then on. Each source has a folder below the one that the environment variable
``GROUPSTUDY_POINTS`` names, by default ``groupstudy-UID`` below ``TMPDIR`` or /var/tmp. All of it
may be deleted at any time: it is made again, and who has mapped it keeps it until then.
"""

import json
import os
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

VARIABLE = "GROUPSTUDY_POINTS"
NOTES = "notes.json"
FORMAT = 1
"""Of the files; those of another one are made anew."""


class NodeFileError(ValueError):
    """Files that cannot be made on this node, with the remedy."""


class Stored(NamedTuple):
    """Read-only arrays mapped from files, by name, and what was noted of them."""

    arrays: dict[str, NDArray[Any]]
    notes: dict[str, Any]


def stored(source: Path, make: Callable[[Path], dict[str, Any]]) -> Stored:
    """The arrays of a source; made now, unless this node has them of just this content.

    They take the place of those of an earlier content, are there whole or not at all, and outlast
    a loss of power.

    Args:
        source: a file.
        make: writes each array as ``NAME.npy`` into a folder, and returns what is to be noted.

    Raises:
        NodeFileError: if the source cannot be read or changes meanwhile, or the files cannot be
            written.
    """
    root, name = _root(), sha256(os.fsencode(source.absolute())).hexdigest()[:12]
    folder = root / f"{source.stem}-{name}"
    try:
        _make_private(root)
        with FileLock(root / f"{folder.name}.lock"):
            content = _content(source)
            found = _found(folder, content)
            if found is None:
                _make(folder, source, content, make)
                found = _found(folder, content)
    except OSError as error:
        raise NodeFileError(
            f"its points are more than memory holds, and cannot be kept in {root}: "
            f"{error.strerror or error}; make room there, or name another folder of this node with "
            f"{VARIABLE}"
        ) from error
    assert found is not None
    return found


def _root() -> Path:
    # Not below /tmp, which may be memory.
    default = Path(os.environ.get("TMPDIR", "/var/tmp")) / f"groupstudy-{os.getuid()}"
    return Path(os.environ.get(VARIABLE, default))


def _make_private(root: Path) -> None:
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    # What others may have put into a folder that everybody may make could hold anything.
    if VARIABLE not in os.environ and root.lstat().st_uid != os.getuid():
        raise NodeFileError(f"{root} belongs to another user; name a folder with {VARIABLE}")


def _content(source: Path) -> list[int]:
    """What changes with the content of a file, without reading it."""
    try:
        found = source.stat()
    except OSError as error:
        raise NodeFileError(f"cannot be read: {error.strerror}") from error
    return [FORMAT, found.st_size, found.st_mtime_ns, found.st_ctime_ns]


def _found(folder: Path, content: list[int]) -> Stored | None:
    """What a folder holds; None unless it is whole and of this content."""
    try:
        notes = json.loads((folder / NOTES).read_text())
        if notes.pop("content") != content:
            return None
        arrays = {
            name: np.load(folder / f"{name}.npy", mmap_mode="r").view(np.ndarray)
            for name in notes.pop("arrays")
        }
    except (OSError, ValueError):  # somebody may have deleted a part
        return None
    return Stored(arrays, notes)


def _make(
    folder: Path, source: Path, content: list[int], make: Callable[[Path], dict[str, Any]]
) -> None:
    unfinished = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        unfinished.mkdir()
        notes = make(unfinished)
        if _content(source) != content:
            raise NodeFileError("changed while it was read; try again when it is complete")
        notes |= {"content": content, "arrays": [path.stem for path in unfinished.iterdir()]}
        (unfinished / NOTES).write_text(json.dumps(notes))
        for path in unfinished.iterdir():
            with path.open("rb") as written:
                os.fsync(written.fileno())
        shutil.rmtree(folder, ignore_errors=True)
        unfinished.replace(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
