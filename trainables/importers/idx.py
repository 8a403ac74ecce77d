"""IDX, the format of MNIST and its family: ``*-images-idx3-ubyte``, ``*-labels-idx1-ubyte``.

A file is a magic number (two zero bytes, the type, the number of dimensions), the sizes of the
dimensions as big-endian 32-bit integers, then the values; it may be compressed with gzip.
"""

import gzip
import re
import struct
import zlib
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainables.data import DataError, PointSet
from trainables.importers.parts import Part, joined

FORM = "IDX files named *-images-idx3-ubyte and *-labels-idx1-ubyte (or .gz), or their folder"
NAME = re.compile(r"(?P<part>.*?)(?P<kind>images|labels)[-._]idx[13][-._]ubyte(\.gz)?")
SIDE = re.compile(r"(train|t10k|test)[-._]?$")
UNSIGNED_BYTE = 0x08
DIMENSIONS = {"images": 3, "labels": 1}
GZIP = b"\x1f\x8b"

Files = dict[str, dict[str, Path]]


def recognises(source: Path) -> bool:
    """Whether this is an IDX file by its name, or a folder that holds one."""
    return any(NAME.fullmatch(file.name) for file in _listed(source))


def read(source: Path, size: int | None = None) -> PointSet:
    """The images of an IDX pair, or of the two pairs of an official split.

    A folder with one pair, and a file with its pair beside it, have no official split.

    Args:
        source: the folder, or a file of images or labels.
        size: height and width in pixels that every image is resized to, or None to keep them.

    Raises:
        DataError: with every file that is missing or damaged, or if counts or sizes differ.
    """
    parts = _parts(source)
    problems = _missing(parts) or _ambiguities(parts, source)
    if problems:
        raise DataError(problems)
    arrays = _arrays(parts)
    joinable = [
        Part(
            place=str(files["images"]),
            points=arrays[files["images"]][:, np.newaxis],
            labels=arrays[files["labels"]].astype(np.str_),
            is_test=_side(part) != "train",
        )
        for part, files in parts.items()
    ]
    return joined(joinable, source, size)


def _listed(source: Path) -> list[Path]:
    return sorted(source.iterdir()) if source.is_dir() else [source]


def _parts(source: Path) -> Files:
    """IDX files by part (``train-``) and kind; an uncompressed one goes before its gzip."""
    parts: Files = {}
    for file in _listed(source if source.is_dir() else source.parent):
        matched = NAME.fullmatch(file.name)
        if matched:
            parts.setdefault(matched["part"], {}).setdefault(matched["kind"], file)
    named = NAME.fullmatch(source.name)
    if source.is_dir() or not named:
        return dict(sorted(parts.items(), key=lambda part: _side(part[0]) != "train"))
    return {named["part"]: {**parts[named["part"]], named["kind"]: source}}


def _side(part: str) -> str | None:
    matched = SIDE.search(part)
    return matched[1] if matched else None


def _missing(parts: Files) -> list[str]:
    problems = []
    for part, files in parts.items():
        present = next(iter(files.values()))
        for kind, dimensions in DIMENSIONS.items():
            if kind not in files:
                name = f"{part}{kind}-idx{dimensions}-ubyte"
                problems.append(f"{present}: lacks its {kind}; put {name} or {name}.gz beside it")
    return problems


def _ambiguities(parts: Files, source: Path) -> list[str]:
    sides = [_side(part) for part in parts]
    families = {SIDE.sub("", part) for part in parts}
    is_split = len(families) == 1 and sides in (["train", "t10k"], ["train", "test"])
    if is_split or len(parts) == 1:
        return []
    images = ", ".join(files["images"].name for files in parts.values())
    return [
        f"{source}: holds several sets of IDX files ({images}); name one of these files, or give "
        "each set a folder of its own"
    ]


def _arrays(parts: Files) -> dict[Path, NDArray[np.uint8]]:
    arrays: dict[Path, NDArray[np.uint8]] = {}
    problems: list[str] = []
    for files in parts.values():
        for kind, path in files.items():
            try:
                arrays[path] = _array(path, DIMENSIONS[kind])
            except DataError as error:
                problems += error.problems
    if problems:
        raise DataError(problems)
    return arrays


def _array(path: Path, dimensions: int) -> NDArray[np.uint8]:
    content = _content(path)
    start = 4 * (1 + dimensions)
    magic = UNSIGNED_BYTE << 8 | dimensions
    found = int.from_bytes(content[:4], "big")
    if len(content) < 4 or found != magic:
        raise DataError(
            [
                f"{path}: must begin with the magic number {magic:#010x} (unsigned bytes in "
                f"{dimensions} dimensions), begins with {found:#010x}; is it the right file?"
            ]
        )
    if len(content) < start:
        raise DataError([f"{path}: ends within its header; download it again"])
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    if len(content) - start != prod(shape):
        raise DataError(
            [
                f"{path}: must hold {prod(shape)} bytes after its header "
                f"({' x '.join(map(str, shape))}), holds {len(content) - start}; download it again"
            ]
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _content(path: Path) -> bytes:
    content = path.read_bytes()
    # By content, not by name: browsers decompress downloads and keep the .gz.
    if not content.startswith(GZIP):
        return content
    try:
        return gzip.decompress(content)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError([f"{path}: cannot be decompressed: {error}; download it again"]) from error
