"""Folders on this machine, or on an object store: named by text, written whole or not at all.

Both are used like a ``pathlib.Path``; what an object store cannot do, or only slowly, is done here.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from upath import UPath

Place = Path | UPath
CLAIM = ".claimed"
"""The object that stands for a folder nobody else may have."""


def place(text: str) -> Place:
    """A folder from its path, or from the address of an object store as ``s3://BUCKET/PREFIX``.

    Raises:
        ValueError: if no file system of that kind is known.
        ImportError: if its package is not installed.
    """
    # What others write must be seen at once.
    return UPath(text, use_listings_cache=False) if "://" in text else Path(text)


def make(folder: Place) -> None:
    """Makes a folder and all above it; an object store has none to make."""
    if isinstance(folder, Path):
        folder.mkdir(parents=True, exist_ok=True)


def replace(file: Place, content: bytes, *, is_durable: bool = True) -> None:
    """Replaces a file so that a crash at any moment leaves the old or the new content.

    Args:
        file: in a folder that exists.
        content: all of it.
        is_durable: whether the new content is to survive the loss of power as well.
    """
    if not isinstance(file, Path):
        file.fs.pipe_file(file.path, content)
        return
    unfinished = file.with_name(f".{file.name}.tmp")
    with unfinished.open("wb") as opened:
        opened.write(content)
        if is_durable:
            opened.flush()
            os.fsync(opened.fileno())
    unfinished.replace(file)


def create(file: Place, content: bytes) -> bool:
    """Writes a file, whole or not at all, and durably; does nothing if there is one already.

    Returns:
        Whether it was written: by one of several that try at once.
    """
    try:
        if isinstance(file, Path):
            _create_local(file, content)
        else:
            file.fs.pipe_file(file.path, content, mode="create")
    except FileExistsError:
        return False
    return True


def _create_local(file: Path, content: bytes) -> None:
    unfinished = file.with_name(f".{file.name}.{uuid4().hex}")
    replace(unfinished, content)
    try:
        # Unlike a rename, this replaces nothing.
        file.hardlink_to(unfinished)
    except PermissionError:  # a file system without links
        if file.exists():
            raise FileExistsError(file) from None
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)


def claim(folder: Place) -> bool:
    """Makes a folder that nobody has; returns whether it was made: by one of several at once."""
    if not isinstance(folder, Path):
        return create(folder / CLAIM, b"")
    try:
        folder.mkdir()
    except FileExistsError:
        return False
    return True


def is_claimed(folder: Place) -> bool:
    """Whether somebody has claimed a folder."""
    return folder.exists() if isinstance(folder, Path) else (folder / CLAIM).exists()


def remove(file: Place) -> None:
    """Removes a file if it is there."""
    if isinstance(file, Path):
        file.unlink(missing_ok=True)
    elif file.exists():
        file.unlink()


def contents(folder: Place, name: str) -> dict[str, bytes]:
    """Files of one name in the folders of a folder, by the names of these folders, sorted."""
    if isinstance(folder, Path):
        found = {path.parent.name: path.read_bytes() for path in folder.glob(f"*/{name}")}
    else:
        # One listing of everything and all files at once, for each question takes its time.
        depth = folder.path.count("/") + 2
        paths = [
            path
            for path in folder.fs.find(folder.path)
            if path.endswith(f"/{name}") and path.count("/") == depth
        ]
        read = folder.fs.cat(paths) if paths else {}
        found = {path.split("/")[-2]: content for path, content in read.items()}
    return dict(sorted(found.items()))


def readable(file: Place) -> Path | BytesIO:
    """What a library that reads files, and knows no object stores, can be given."""
    return file if isinstance(file, Path) else BytesIO(file.read_bytes())


def stand_in(file: Place, path: Path) -> None:
    """Makes ``path`` a file of the same content: a link to a local one, or a download."""
    if isinstance(file, Path):
        path.symlink_to(file.absolute())
    else:
        copy(file, path)


@contextmanager
def local(folder: Place) -> Iterator[Path]:
    """A local folder of the same content, while the context lasts."""
    if isinstance(folder, Path):
        yield folder
        return
    with TemporaryDirectory() as temporary:
        folder.fs.get(f"{folder.path}/", f"{temporary}/", recursive=True)
        yield Path(temporary)


@contextmanager
def filled(folder: Place) -> Iterator[Path]:
    """A local folder to be filled, which replaces one on an object store when it is left."""
    if isinstance(folder, Path):
        yield folder
        return
    with TemporaryDirectory() as temporary:
        yield Path(temporary)
        if folder.exists():
            folder.fs.rm(folder.path, recursive=True)
        folder.fs.put(f"{temporary}/", f"{folder.path}/", recursive=True)


@contextmanager
def replaced(folder: Place) -> Iterator[Path]:
    """A new local folder, which replaces another one as a whole when it is left."""
    if not isinstance(folder, Path):
        with filled(folder) as local:
            yield local
        return
    target = folder.resolve()
    unfinished = target.with_name(f".{target.name}.tmp")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    yield unfinished
    shutil.rmtree(target, ignore_errors=True)
    unfinished.replace(target)


def copy(file: Place, path: Path) -> None:
    """Copies a file to a path of this machine."""
    if isinstance(file, Path):
        shutil.copyfile(file, path)
    else:
        file.fs.get_file(file.path, str(path))
