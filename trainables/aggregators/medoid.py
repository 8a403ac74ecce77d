from typing import final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from trainables.contracts import HullAggregator


@final
class MedoidAggregator(HullAggregator):
    """The member with the smallest sum of distances to the others: ``min_i sum_j ||e_i - e_j||``.

    Kaufman and Rousseeuw (1987), "Clustering by means of medoids". That member has the weight 1
    and the whole gradient. Of members with equal sums the first is taken, so of two members it is
    always the first: only then does their order matter.

    Args:
        width: floats per embedding, unchanged.
    """

    def weights(
        self, embeddings: Float[Tensor, "groups points width"], mask: Bool[Tensor, "groups points"]
    ) -> Float[Tensor, "groups points"]:
        # Squares of what stands at padded places may overflow.
        members = embeddings.detach().masked_fill(~mask[:, :, None], 0)
        # Without a matrix product, whose rounding gives the two directions of a pair two distances.
        distances = torch.cdist(members, members, compute_mode="donot_use_mm_for_euclid_dist")
        sums = distances.masked_fill(~mask[:, None], 0).sum(2)
        chosen = sums.masked_fill(~mask, torch.inf).argmin(1, keepdim=True)
        places = torch.arange(mask.shape[1], device=mask.device)
        return (places == chosen).to(embeddings.dtype)
