"""Image files as images of one size, grey or colour; every unreadable one is reported."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from trainables.data import DataError, PointSet, point_set

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
PROBLEMS_SHOWN = 20
GREY_MODES = ("1", "L", "LA")


@final
@dataclass(frozen=True)
class Picture:
    """An image file, and what its place in the source says about it.

    Args:
        place: where it is, as a user would name it.
        label: class name.
        is_test: whether the official split holds it out for the test, or None without a split.
        read: gives the content of the file.
    """

    place: str
    label: str
    is_test: bool | None
    read: Callable[[], bytes]


def point_set_of(
    pictures: Sequence[Picture], source: Path, size: int | None, *, inverted: bool = False
) -> PointSet:
    """Decodes image files into points: all grey, or all colour if any of them is.

    Transparent pixels become white; of an animation the first frame counts; photographs are turned
    upright as their EXIF data say.

    Args:
        pictures: the image files, at least one.
        source: the folder or archive they are in.
        size: height and width in pixels that every image is resized to, or None to keep them.
        inverted: whether dark becomes bright, before any resizing.

    Raises:
        DataError: with every image that cannot be read, or if their sizes differ.
    """
    decoded, problems = _decoded_all(pictures, size, inverted)
    problems += _size_problems([(pictures[row].place, image) for row, image in decoded.items()])
    if problems:
        raise DataError(_first(problems, source))
    classes, labels = np.unique([picture.label for picture in pictures], return_inverse=True)
    sides = [picture.is_test for picture in pictures]
    return point_set(
        _stacked(list(decoded.values())),
        labels,
        classes.tolist(),
        str(source),
        is_test=None if None in sides else np.array(sides, dtype=np.bool_),
    )


def resized(images: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Images ``[n, channels, size, size]``, each channel of each stretched to a square.

    Args:
        images: ``[n, channels, height, width]``.
        size: new height and width in pixels.
    """
    result = np.empty((*images.shape[:2], size, size), np.uint8)
    for place in np.ndindex(images.shape[:2]):
        result[place] = np.asarray(_stretched(Image.fromarray(images[place]), size))
    return result


def _decoded_all(
    pictures: Sequence[Picture], size: int | None, inverted: bool
) -> tuple[dict[int, NDArray[np.uint8]], list[str]]:
    """Images by row, and a problem for each one that cannot be read."""
    decoded, problems = {}, []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about oddities in files that are readable all the same
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        for row, picture in enumerate(pictures):
            try:
                decoded[row] = _decoded(picture.read(), size, inverted)
            except Exception as error:  # decoders raise almost anything on damaged files
                problems.append(f"{picture.place}: {_reason(error)}; replace or remove it")
    return decoded, problems


def _decoded(content: bytes, size: int | None, inverted: bool) -> NDArray[np.uint8]:
    with Image.open(BytesIO(content)) as file:
        image = _in_eight_bits(ImageOps.exif_transpose(file))
    if inverted:
        image = ImageOps.invert(image)
    pixels = np.asarray(image if size is None else _stretched(image, size))
    return pixels[np.newaxis] if pixels.ndim == 2 else np.moveaxis(pixels, 2, 0)


def _in_eight_bits(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError("its pixels have 32 bits, at most 16 are possible")
    mode = "L" if image.mode in GREY_MODES else "RGB"
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image.convert(mode)


def _stretched(image: Image.Image, size: int) -> Image.Image:
    # Means of the pixels that a new one covers: thin strokes survive, and nothing overshoots.
    return image.resize((size, size), Image.Resampling.BOX)


def _stacked(images: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    channels = max(len(image) for image in images)
    stacked = np.empty((len(images), channels, *images[0].shape[1:]), np.uint8)
    for row, image in enumerate(images):
        stacked[row] = image  # grey among colour is repeated for each channel
    return stacked


def _size_problems(images: list[tuple[str, NDArray[Any]]]) -> list[str]:
    for place, image in images:
        first_place, first = images[0]
        if image.shape[1:] != first.shape[1:]:
            return [
                f"{place}: is {_sides(image)} pixels wide and high, {first_place} is "
                f"{_sides(first)}; give --size to resize all images"
            ]
    return []


def _sides(image: NDArray[Any]) -> str:
    return f"{image.shape[2]} x {image.shape[1]}"


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "is no image that can be read"
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read: {error.strerror}"
    return f"cannot be read as an image: {error or type(error).__name__}"


def _first(problems: list[str], source: Path) -> list[str]:
    more = len(problems) - PROBLEMS_SHOWN
    if more <= 0:
        return problems
    return [*problems[:PROBLEMS_SHOWN], f"{source}: {more} more images have such problems"]
