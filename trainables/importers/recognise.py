"""Finds out which foreign format a source is in, and hands it to that format's importer."""

from collections.abc import Callable
from pathlib import Path

from trainables.data import DataError, PointSet
from trainables.importers import idx, image_folders, npz, omniglot

Recognises = Callable[[Path], bool]
Read = Callable[[Path, int | None], PointSet]

# In this order: Omniglot unpacked is a folder of images too.
FORMATS: tuple[tuple[str, Recognises, Read], ...] = (
    (omniglot.FORM, omniglot.recognises, omniglot.read),
    (idx.FORM, idx.recognises, idx.read),
    (npz.FORM, npz.recognises, npz.read),
    (image_folders.FORM, image_folders.recognises, image_folders.read),
)


def import_points(source: Path, size: int | None = None) -> PointSet:
    """The points of a file or folder in any known format.

    Args:
        source: the file or folder.
        size: height and width in pixels that every image is resized to; None keeps images as they
            are, except Omniglot's.

    Raises:
        DataError: with every problem of the source.
    """
    if not source.exists():
        raise DataError([f"{source}: there is no such file or folder"])
    try:
        for _, recognises, read in FORMATS:
            if recognises(source):
                return read(source, size)
    except OSError as error:
        place = error.filename or source
        raise DataError([f"{place}: cannot be read: {error.strerror or error}"]) from error
    raise DataError([f"{source}: {_unknown(source)}"])


def _unknown(source: Path) -> str:
    if source.suffix == ".parquet":
        return "is Parquet already; name it as data.source of a study file"
    forms = "; ".join(form for form, _, _ in FORMATS)
    is_empty = source.is_dir() and not any(source.iterdir())
    return f"{'is an empty folder' if is_empty else 'is in no known format'}; known are: {forms}"
