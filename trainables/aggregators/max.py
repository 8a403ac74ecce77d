from typing import final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from trainables.contracts import Aggregator


@final
class MaxAggregator(Aggregator):
    """Largest value of each feature among the members: ``max_i e_i``, feature by feature.

    Qi et al. (2017), "PointNet", eq. 1. Members that share the largest value share the gradient.

    Args:
        width: floats per embedding, unchanged.
    """

    outside_hull = "the largest features of different members need not lie between the members"

    def forward(
        self, embeddings: Float[Tensor, "groups points width"], mask: Bool[Tensor, "groups points"]
    ) -> Float[Tensor, "groups width"]:
        return embeddings.masked_fill(~mask[:, :, None], -torch.inf).amax(1)
