import math
from typing import Annotated, final

import torch
from annotated_types import Ge, Le
from jaxtyping import Bool, Float
from torch import Tensor, nn

from trainables.contracts import Aggregator, Search

FLOOR = 1e-4


@final
class PowerMeanAggregator(Aggregator):
    """Generalised mean with a learned exponent: ``(mean_i max(e_i, floor)^p)^(1/p)`` per feature.

    Radenovic, Tolias and Chum (2019), "Fine-tuning CNN image retrieval with no human annotation"
    (GeM), eq. 3: ``p = 1`` is the mean and large ``p`` approaches the maximum. It is made for
    features that are not negative: all others count as ``floor = 1e-4``. Computed in the logarithm,
    so no exponent overflows; ``log p`` is the parameter, so ``p`` stays positive.

    Args:
        width: floats per embedding, unchanged.
        exponent: ``p`` before training.
    """

    outside_hull = "a power mean of the features bends away from the segment between two members"

    def __init__(
        self,
        width: int,
        *,
        exponent: Annotated[float, Ge(0.1), Le(100), Search(1.0, 8.0, log=True)] = 3.0,
    ) -> None:
        super().__init__(width)
        self.log_exponent = nn.Parameter(torch.tensor(math.log(exponent)))

    def forward(
        self, embeddings: Float[Tensor, "groups points width"], mask: Bool[Tensor, "groups points"]
    ) -> Float[Tensor, "groups width"]:
        exponent = self.log_exponent.exp()
        logarithms = embeddings.clamp_min(FLOOR).log() * exponent
        total = logarithms.masked_fill(~mask[:, :, None], -torch.inf).logsumexp(1)
        count = mask.sum(1, keepdim=True).to(embeddings.dtype)
        return ((total - count.log()) / exponent).exp()
