from typing import Annotated, final

import torch
from annotated_types import Ge, Le
from jaxtyping import Bool, Float
from torch import Tensor

from trainables.contracts import HullAggregator, Search

FLOOR = 1e-15


@final
class NormWeightedAggregator(HullAggregator):
    """Weighted mean in which long embeddings count more: ``w_i = ||e_i||^p / sum_j ||e_j||^p``.

    The length of an embedding may tell the quality of its point, as Meng et al. (2021), "MagFace",
    train it to. Embeddings of unit length all weigh the same, and the result is the mean: this
    aggregator differs from it only where the encoder may give any length. Lengths below ``1e-15``
    count as ``1e-15``, so a group of zeros is zero.

    Args:
        width: floats per embedding, unchanged.
        power: ``p``, in [0, 16]; 0 is the mean, and large powers approach the longest member.
    """

    power: Tensor

    def __init__(
        self, width: int, *, power: Annotated[float, Ge(0), Le(16), Search(0.5, 4.0)] = 1.0
    ) -> None:
        super().__init__(width)
        self.register_buffer("power", torch.tensor(power, dtype=torch.float64))

    def weights(
        self, embeddings: Float[Tensor, "groups points width"], mask: Bool[Tensor, "groups points"]
    ) -> Float[Tensor, "groups points"]:
        squares = embeddings.square().sum(2).clamp_min(FLOOR**2)
        # In the logarithm, so that no power of a length overflows.
        logarithms = self.power * squares.log() / 2
        return logarithms.masked_fill(~mask, -torch.inf).softmax(1)
