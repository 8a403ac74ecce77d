"""Groups of points as somebody else sends them: read, or refused with row and remedy."""

from collections.abc import Iterable
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

TOLD = 5
"""Most rows that an error names."""
Padded = tuple[Float[Tensor, "groups points *shape"], Bool[Tensor, "groups points"]]


class GroupError(ValueError):
    """Groups that a model cannot take; the message has a clause for each row, from 0."""


def padded_groups(rows: Iterable[Any], shape: tuple[int, ...]) -> Padded:
    """Groups side by side, and which places are real points.

    Args:
        rows: a list or array of points for each group. A point is a flat vector, or nested lists
            of the model's shape, of which a single channel may be left out.
        shape: of one point.

    Raises:
        GroupError: if there are no groups, or rows that hold no points, other points than the
            model's, or what is not a finite number; tells of all of them.
    """
    groups, problems = [], []
    for row, points in enumerate(rows):
        try:
            groups.append(_group(points, shape))
        except GroupError as error:
            problems.append(f"row {row}{error}")
    if problems:
        left = len(problems) - TOLD
        more = [f"and {left} more rows"] if left > 0 else []
        raise GroupError("; ".join(problems[:TOLD] + more))
    if not groups:
        raise GroupError("there are no rows; send a row for each group, with its points")
    mask = pad_sequence([torch.ones(len(group), dtype=torch.bool) for group in groups], True)
    return pad_sequence(groups, True), mask


def _group(points: Any, shape: tuple[int, ...]) -> Float[Tensor, "points *shape"]:
    """Raises errors that go on where the row was named."""
    if not isinstance(points, list | tuple | np.ndarray) or len(points) == 0:
        got = "none" if isinstance(points, list | tuple | np.ndarray) else type(points).__name__
        raise GroupError(f": a group must be one or more points of {_wanted(shape)}, got {got}")
    values = [_point(place, point, shape) for place, point in enumerate(points)]
    return torch.from_numpy(np.stack(values)).view(-1, *shape)


def _point(place: int, point: Any, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """One point as a flat vector."""
    try:
        numbers = np.asarray(_plain(point))
    except ValueError:  # lists of different lengths
        numbers = np.asarray(None)
    if numbers.dtype.kind not in "biuf":
        raise GroupError(
            f", point {place}: must be {_wanted(shape)}, got text, null or lists of unequal lengths"
        )
    if numbers.shape not in _accepted(shape):
        got = " x ".join(map(str, numbers.shape)) or "a single number"
        raise GroupError(f", point {place}: must be {_wanted(shape)}, got {got}")
    with np.errstate(over="ignore"):
        values: npt.NDArray[np.float32] = numbers.astype(np.float32).reshape(-1)
    if not np.isfinite(values).all():
        raise GroupError(f", point {place}: must be finite as 32-bit floats; leave the point out")
    return values


def _plain(value: Any) -> Any:
    """Arrays of arrays, as Parquet has them, as lists; others as they are."""
    if isinstance(value, np.ndarray) and value.dtype == object:
        return [_plain(part) for part in value]
    return value


def _accepted(shape: tuple[int, ...]) -> set[tuple[int, ...]]:
    """Shapes that a point may be sent in."""
    image = {shape[1:]} if len(shape) == 3 and shape[0] == 1 else set()
    return {(prod(shape),), shape} | image


def _wanted(shape: tuple[int, ...]) -> str:
    nested = [" x ".join(map(str, form)) for form in sorted(_accepted(shape), key=len)[1:]]
    return f"{prod(shape)} numbers" + "".join(f", or nested {form}" for form in nested)
