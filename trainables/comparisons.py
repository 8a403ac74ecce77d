"""How the rows of a step lie to each other: distances, and sums over negatives in their order."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import pad
from torch.utils.checkpoint import checkpoint

from trainables.contracts import LabelledEmbeddings

WHOLE, ANCHORS = 512, 64
"""Up to so many rows are compared at once, of more so many with all."""


class Comparisons(NamedTuple):
    """Distances of anchors to all rows, and which pairs are of one class (no row with itself)."""

    apart: Float[Tensor, "anchors rows"]
    positive: Bool[Tensor, "anchors rows"]
    negative: Bool[Tensor, "anchors rows"]


class SortedNegatives(NamedTuple):
    """Distances of each anchor's negatives, nearest first, then infinite; and their sums."""

    ascending: Float[Tensor, "anchors rows"]
    running: Float[Tensor, "anchors sums"]

    def below(
        self, limit: Float[Tensor, "anchors limits"], *, inclusive: bool = False
    ) -> tuple[Int[Tensor, "anchors limits"], Float[Tensor, "anchors limits"]]:
        """How many negatives are nearer than each limit, and the sum of their distances.

        The count has no gradient. An anchor has limits of its own; ``inclusive`` counts those at
        the limit as well.
        """
        count = torch.searchsorted(self.ascending.detach(), limit.detach(), right=inclusive)
        return count, self.running.gather(1, count)


def compared(rows: LabelledEmbeddings, anchors: slice = slice(None)) -> Comparisons:
    """Compares every row with every other, or those rows that are the anchors."""
    # From differences: at coinciding rows the distance is exactly 0, and so is its gradient.
    apart = torch.cdist(
        rows.embeddings[anchors], rows.embeddings, compute_mode="donot_use_mm_for_euclid_dist"
    )
    same = rows.labels[anchors, None] == rows.labels
    places = torch.arange(len(rows.labels), device=same.device)
    return Comparisons(apart, same & (places[anchors, None] != places), ~same)


def summed_in_tiles(
    sums: Callable[[LabelledEmbeddings, slice], tuple[Tensor, ...]], rows: LabelledEmbeddings
) -> tuple[Tensor, ...]:
    """Sums over all anchors; of many rows a tile at a time, computed again for the gradient.

    So what is held grows with the number of rows, and not with its square.

    Args:
        sums: takes the rows and which of them are the anchors.
        rows: of the step.
    """
    count = len(rows.labels)
    if count <= WHOLE:
        return sums(rows, slice(None))
    tiles = [slice(start, start + ANCHORS) for start in range(0, count, ANCHORS)]
    found = [
        checkpoint(sums, rows, tile, use_reentrant=False, preserve_rng_state=False)
        for tile in tiles
    ]
    return tuple(torch.stack(parts).sum(0) for parts in zip(*found, strict=True))


def sorted_negatives(
    apart: Float[Tensor, "anchors rows"], negative: Bool[Tensor, "anchors rows"]
) -> SortedNegatives:
    """Sorts once what would else be a cube of anchors, positives and negatives."""
    ascending = apart.masked_fill(~negative, torch.inf).sort(1).values
    return SortedNegatives(
        ascending, pad(ascending.masked_fill(ascending.isinf(), 0).cumsum(1), (1, 0))
    )
