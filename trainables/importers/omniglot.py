"""The official Omniglot archives: ``images_background`` to train on, ``images_evaluation`` to test.

Lake, Salakhutdinov and Tenenbaum (2015): 1,623 handwritten characters, 20 drawings of each.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from trainables.data import DataError, PointSet
from trainables.importers.pictures import Picture, point_set_of

FORM = "images_background.zip and images_evaluation.zip of Omniglot, or one of them, or unpacked"
IS_TEST = {"images_background": False, "images_evaluation": True}
SIZE = 28
LARGEST_DRAWING = 1 << 20  # bytes; a drawing takes some 200, an archive can claim any number
# No hidden files: archives made on a Mac hold a shadow of each.
DRAWING = re.compile(r"(?:.*/)?(?P<label>[^/]+/character\d+)/[^/.][^/]*\.png")


def recognises(source: Path) -> bool:
    """Whether this is one of the two archives, zipped or unpacked, or a folder that holds one."""
    return bool(_parts(source))


def read(source: Path, size: int | None = None) -> PointSet:
    """The drawings of one archive or both, ink bright on black; class names are folders' names.

    Both archives together have an official split: background to train on, evaluation to test.

    Args:
        source: an archive, zipped or unpacked, or the folder that holds them.
        size: height and width in pixels that every drawing is resized to, or None for ``SIZE``.

    Raises:
        DataError: with every archive and every drawing that cannot be read.
    """
    parts = _parts(source)
    pictures: list[Picture] = []
    problems: list[str] = []
    with ExitStack() as archives:
        for name, path in parts.items():
            try:
                drawings = list(
                    _drawings(path, IS_TEST[name] if len(parts) > 1 else None, archives)
                )
            except BadZipFile as error:
                problems.append(f"{path}: cannot be read as a zip file: {error}; download it again")
                continue
            if not drawings:
                problems.append(f"{path}: holds no ALPHABET/characterNN/*.png; is it Omniglot's?")
            pictures += drawings
        if problems:
            raise DataError(problems)
        return point_set_of(pictures, source, size or SIZE, inverted=True)


def _parts(source: Path) -> dict[str, Path]:
    """The archives at hand by their name; an unpacked one goes before its zip file."""
    parts = {
        name: path
        for name in IS_TEST
        for path in (source / f"{name}.zip", source / name)
        if path.exists()
    }
    is_part = source.stem in IS_TEST and (source.is_dir() or source.suffix == ".zip")
    return {source.stem: source} if is_part and not parts else parts


def _drawings(path: Path, is_test: bool | None, archives: ExitStack) -> Iterator[Picture]:
    # By name, so that an archive and what was unpacked from it give the same points.
    for name, read_content in sorted(_files(path, archives), key=lambda file: file[0]):
        matched = DRAWING.fullmatch(name)
        if matched:
            yield Picture(f"{path}/{name}", matched["label"], is_test, read_content)


def _files(path: Path, archives: ExitStack) -> Iterator[tuple[str, Callable[[], bytes]]]:
    if path.is_dir():
        for file in path.rglob("*.png"):
            yield file.relative_to(path).as_posix(), file.read_bytes
    else:
        archive = archives.enter_context(ZipFile(path))
        for name in archive.namelist():
            yield name, partial(_member, archive, name)


def _member(archive: ZipFile, name: str) -> bytes:
    with archive.open(name) as file:
        return file.read(LARGEST_DRAWING)
