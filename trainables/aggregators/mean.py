from typing import final

from jaxtyping import Bool, Float
from torch import Tensor

from trainables.contracts import HullAggregator


@final
class MeanAggregator(HullAggregator):
    """Arithmetic mean of the members: ``sum_i e_i / n``, the group embedding of Karimov (2023).

    Args:
        width: floats per embedding, unchanged.
    """

    def weights(
        self, embeddings: Float[Tensor, "groups points width"], mask: Bool[Tensor, "groups points"]
    ) -> Float[Tensor, "groups points"]:
        real = mask.to(embeddings.dtype)
        return real / real.sum(1, keepdim=True)
