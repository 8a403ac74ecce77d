"""The points that a member trains on, as near to its device as there is room for."""

from typing import Any, final
from weakref import WeakValueDictionary

import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from trainables.data import PointSet, as_floats
from trainables.device import CPU, sent

MOST = 0.25
"""Share of the memory that this process may take of a GPU, up to which points lie there whole."""


@final
class ResidentPoints:
    """Batches of the points, on a device.

    On a GPU with room for them the points lie there, once for all members of the process, and
    batches are picked there by index; else each batch is sent.

    Args:
        points: of the study.
        device: of the batches.
    """

    def __init__(self, points: PointSet, device: torch.device) -> None:
        self._points, self._device = points, device
        is_held = device != CPU and points.points.nbytes <= room(device)
        self._whole = whole(points, device) if is_held else None

    def take(self, rows: Int[Tensor, "*rows"]) -> Float[Tensor, "..."]:
        """The points in these rows, as :meth:`PointSet.take` gives them."""
        if self._whole is None:
            return sent(self._points.take(rows), self._device)
        return as_floats(self._whole.array[sent(rows, self._device)])


@final
class Whole:
    """An array of points on a device, for as long as a member refers to it."""

    def __init__(self, array: NDArray[Any], device: torch.device) -> None:
        self.array = torch.tensor(array, device=device)


_held: WeakValueDictionary[tuple[str, torch.device], Whole] = WeakValueDictionary()


def whole(points: PointSet, device: torch.device) -> Whole:
    """All points on a device, which this process holds there once."""
    key = (points.digest, device)
    found = _held.get(key) or Whole(points.points, device)
    _held[key] = found
    return found


def room(device: torch.device) -> float:
    """Bytes of points that may lie on a device."""
    if device.type != "cuda":
        return torch.inf
    total = torch.cuda.get_device_properties(device).total_memory
    return MOST * torch.cuda.get_per_process_memory_fraction(device) * total
