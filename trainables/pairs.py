"""Which groups are compared: all pairs of one class, without holding them all."""

from collections.abc import Callable, Iterator

import torch
from jaxtyping import Int
from torch import Tensor

CACHED = 2**17
"""Floats that are fast to reach."""


def same_class_pairs(
    labels: Int[Tensor, " groups"], largest: int = 2**18
) -> Iterator[tuple[Int[Tensor, " pairs"], Int[Tensor, " pairs"]]]:
    """All pairs ``first < second`` of one class, about ``largest`` at a time, class by class."""
    order = labels.argsort(stable=True)
    counts = labels.bincount()
    places = torch.arange(len(labels), device=labels.device)
    partners = counts.cumsum(0).repeat_interleave(counts) - 1 - places
    ends = partners.cumsum(0)
    start = 0
    while start < len(labels):
        done = ends[start] - partners[start]
        stop = max(start + 1, int(torch.searchsorted(ends, done + largest, right=True)))
        repeats = partners[start:stop]
        first = places[start:stop].repeat_interleave(repeats)
        begins = (ends[start:stop] - repeats - done).repeat_interleave(repeats)
        second = first + 1 + torch.arange(len(first), device=labels.device) - begins
        yield order[first], order[second]
        start = stop


def in_chunks(
    measure: Callable[..., Tensor], *groups: Int[Tensor, " pairs"], floats: int
) -> Tensor:
    """Measures as many pairs at once as keep their floats in the processor's cache.

    Args:
        measure: takes the groups of some pairs, gives one row for each pair.
        groups: first and second group of every pair, or more for larger tuples.
        floats: that a single pair takes.
    """
    size = max(1, CACHED // floats)
    chunks = zip(*(ids.split(size) for ids in groups), strict=True)
    return torch.cat([measure(*chunk) for chunk in chunks])
