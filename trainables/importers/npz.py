"""NumPy archives (``.npz``): arrays of points, of labels and of natural groups, by their names."""

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from trainables.data import DataError, PointSet
from trainables.importers.parts import Part, joined

FORM = "a NumPy archive (.npz) with arrays x and y, or x_train, y_train, x_test and y_test"
NAMES = {
    "points": ("x", "features", "images", "points", "data"),
    "labels": ("y", "labels", "label", "targets", "target"),
    "groups": ("group", "groups"),
}
SIDES = {"train": False, "val": False, "test": True}
MOST_CHANNELS = 4
# What NumPy and zipfile raise on damaged archives; encrypted ones are RuntimeErrors.
UNREADABLE = (BadZipFile, EOFError, MemoryError, OSError, RuntimeError, ValueError, zlib.error)

Keys = dict[str, dict[str, list[str]]]


class ArrayError(ValueError):
    """An array that cannot be used, with the remedy."""


def recognises(source: Path) -> bool:
    """Whether this is a NumPy archive by its suffix."""
    return source.is_file() and source.suffix.lower() == ".npz"


def read(source: Path, size: int | None = None) -> PointSet:
    """The points of a NumPy archive; nothing in it is unpickled.

    Arrays are found by ``NAMES``, in any case, alone or with a side of an official split before or
    after it (``x_train``, ``test_images``); ``val`` counts as ``train``. Unsigned bytes in 3 or 4
    dimensions are images ``[n, height, width]``, ``[n, height, width, channels]`` or ``[n,
    channels, height, width]``: the last dimension holds the channels if it is at most
    ``MOST_CHANNELS``, else the second. All other numbers are features, flattened, as they are.

    Args:
        source: the archive.
        size: height and width in pixels that every image is resized to, or None to keep them.

    Raises:
        DataError: with every array that is missing or cannot be used, or if they disagree.
    """
    with source.open("rb") as file:
        archive = _opened(file, source)
        keys = _keys(archive)
        problems = _key_problems(keys, sorted(archive))
        parts = [] if problems else _parts(archive, keys, source, problems)
    if problems:
        raise DataError([f"{source}: {problem}" for problem in problems])
    return joined(parts, source, size)


def _opened(file: BinaryIO, source: Path) -> Mapping[str, Any]:
    problem = f"{source}: is no NumPy archive, or damaged; write it with numpy.savez"
    try:
        archive = np.load(file, allow_pickle=False)
    except UNREADABLE as error:
        raise DataError([problem]) from error
    if not isinstance(archive, Mapping):  # a single array: NumPy goes by the content
        raise DataError([problem])
    return archive


def _keys(archive: Mapping[str, Any]) -> Keys:
    """Names of arrays by side (``""`` for none) and role."""
    keys: Keys = {}
    for key in archive:
        words = key.lower().split("_")
        side = next((word for word in words if word in SIDES), "") if len(words) == 2 else ""
        rest = "_".join(word for word in words if word != side)
        for role, names in NAMES.items():
            if rest in names:
                keys.setdefault(side, {}).setdefault(role, []).append(key)
    return {side: keys[side] for side in ("", *SIDES) if side in keys}


def _key_problems(keys: Keys, present: list[str]) -> list[str]:
    problems = [
        f"arrays {' and '.join(found)} could both be the {role}; keep one of them"
        for roles in keys.values()
        for role, found in roles.items()
        if len(found) > 1
    ]
    if "" in keys and len(keys) > 1:
        problems.append("holds arrays with and without a side of a split; keep one kind")
    for side, roles in (keys or {"": {}}).items():
        for role in ("points", "labels"):
            if role not in roles:
                names = ", ".join(f"{name}_{side}" if side else name for name in NAMES[role])
                problems.append(
                    f"holds no array of {role}; name it one of {names}; there are "
                    f"{', '.join(present) or 'none'}"
                )
    return problems


def _parts(archive: Mapping[str, Any], keys: Keys, source: Path, problems: list[str]) -> list[Part]:
    """The parts of the archive; what is wrong with their arrays is added to ``problems``."""
    convert = {"points": _points, "labels": _names, "groups": _names}
    parts = []
    for side, roles in keys.items():
        arrays: dict[str, NDArray[Any]] = {}
        for role, (key,) in roles.items():
            try:
                arrays[role] = convert[role](_array(archive, key))
            except ArrayError as error:
                problems.append(f"array {key} {error}")
        if arrays.keys() == roles.keys():
            place = f"{source}, array {roles['points'][0]}"
            parts.append(Part(place, is_test=SIDES.get(side, False), **arrays))
    return parts


def _array(archive: Mapping[str, Any], key: str) -> NDArray[Any]:
    try:
        return np.asarray(archive[key])
    except UNREADABLE as error:
        if "allow_pickle" in str(error):
            raise ArrayError(
                "holds Python objects, which are never loaded; save it as numbers or strings"
            ) from error
        raise ArrayError(f"cannot be read: {error}; write the archive again") from error


def _points(array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype.kind not in "biuf":
        raise ArrayError(f"must hold numbers, holds {array.dtype}; convert it")
    if array.ndim < 2:
        raise ArrayError(f"must hold one row for each point, has shape {array.shape}")
    if array.dtype == np.uint8 and array.ndim == 3:
        return array[:, np.newaxis]
    if array.dtype == np.uint8 and array.ndim == 4:
        return _channels_first(array)
    flat = array.reshape(len(array), int(np.prod(array.shape[1:])))
    with np.errstate(over="ignore"):  # a double beyond float32 becomes infinite: reported as such
        return flat.astype(np.float32)


def _channels_first(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if images.shape[3] <= MOST_CHANNELS:
        return np.moveaxis(images, 3, 1)
    if images.shape[1] <= MOST_CHANNELS:
        return images
    raise ArrayError(
        f"must hold at most {MOST_CHANNELS} channels in its second or last dimension, has shape "
        f"{images.shape}; reorder it, or save features as floats"
    )


def _names(array: NDArray[Any]) -> NDArray[Any]:
    """One name for each point, of strings or whole numbers ``[n]`` or ``[n, 1]``."""
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise ArrayError(
            f"must hold one value for each point, has shape {array.shape}; turn one-hot rows into "
            "numbers with argmax(1)"
        )
    if array.dtype.kind == "S":
        return np.char.decode(array, "utf-8", "replace")
    if array.dtype.kind == "f" and np.array_equal(array, np.round(array)):
        array = array.astype(np.int64)
    if array.dtype.kind not in "biuU":
        raise ArrayError(f"must hold whole numbers or strings, holds {array.dtype}; convert it")
    return array.astype(np.str_)
