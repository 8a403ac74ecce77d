"""How the rows of a step lie to each other: distances, and sums over negatives in their order."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import pad

from trainables.contracts import LabelledEmbeddings


class Comparisons(NamedTuple):
    """Distances of all rows, and which pairs are of one class (no row with itself) or of two."""

    apart: Float[Tensor, "rows rows"]
    positive: Bool[Tensor, "rows rows"]
    negative: Bool[Tensor, "rows rows"]


class SortedNegatives(NamedTuple):
    """Of each row the distances of its negatives, nearest first, then infinite; and their sums."""

    ascending: Float[Tensor, "rows rows"]
    running: Float[Tensor, "rows sums"]

    def below(
        self, limit: Float[Tensor, "rows limits"], *, inclusive: bool = False
    ) -> tuple[Int[Tensor, "rows limits"], Float[Tensor, "rows limits"]]:
        """How many negatives of a row are nearer than each limit, and the sum of their distances.

        The count has no gradient. A row has limits of its own; ``inclusive`` counts those at the
        limit as well.
        """
        count = torch.searchsorted(self.ascending.detach(), limit.detach(), right=inclusive)
        return count, self.running.gather(1, count)


def compared(rows: LabelledEmbeddings) -> Comparisons:
    """Compares every row with every other."""
    # From differences: at coinciding rows the distance is exactly 0, and so is its gradient.
    apart = torch.cdist(
        rows.embeddings, rows.embeddings, compute_mode="donot_use_mm_for_euclid_dist"
    )
    same = rows.labels[:, None] == rows.labels
    positive = same & ~torch.eye(len(same), dtype=torch.bool, device=same.device)
    return Comparisons(apart, positive, ~same)


def sorted_negatives(
    apart: Float[Tensor, "rows rows"], negative: Bool[Tensor, "rows rows"]
) -> SortedNegatives:
    """Sorts once what would else be a cube of anchors, positives and negatives."""
    ascending = apart.masked_fill(~negative, torch.inf).sort(1).values
    return SortedNegatives(
        ascending, pad(ascending.masked_fill(ascending.isinf(), 0).cumsum(1), (1, 0))
    )
