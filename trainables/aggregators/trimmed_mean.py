from typing import Annotated, final

import torch
from annotated_types import Ge, Lt
from jaxtyping import Bool, Float, Int
from torch import Tensor, einsum
from torch.linalg import vector_norm

from trainables.contracts import HullAggregator, Search

SLACK = 1e-4
"""Points by which ``trim * n`` may miss a whole number by rounding."""


@final
class TrimmedMeanAggregator(HullAggregator):
    """Mean of the members nearest to the mean of all: the others count as outliers.

    Of ``n`` members the ``k = ceil((1 - trim) n)`` with the smallest ``||e_i - mean||`` weigh
    ``1 / k``, and at least one does. It is one round of the multivariate trimming of Gnanadesikan
    and Kettenring (1972), with Euclidean distances. Members as far from the mean as the last one
    kept share the weight of the places left to them, so the order of members never matters: two
    members are equally far, and give their mean. No gradient passes through the choice.

    Args:
        width: floats per embedding, unchanged.
        trim: share of the members left out, in [0, 1); 0 is the mean.
    """

    trim: Tensor

    def __init__(
        self, width: int, *, trim: Annotated[float, Ge(0), Lt(1), Search(0.1, 0.5)] = 0.25
    ) -> None:
        super().__init__(width)
        self.register_buffer("trim", torch.tensor(trim, dtype=torch.float64))

    def weights(
        self, embeddings: Float[Tensor, "groups points width"], mask: Bool[Tensor, "groups points"]
    ) -> Float[Tensor, "groups points"]:
        # Squares of what stands at padded places may overflow.
        members = embeddings.detach().masked_fill(~mask[:, :, None], 0)
        kept = self._kept(mask)
        distances = _distances_to_mean(members, mask)
        border = distances.sort(1).values.gather(1, kept - 1)
        # Distances are equal when rounding alone tells them apart.
        rounding = 16 * torch.finfo(members.dtype).eps
        lengths: Tensor = vector_norm(members, dim=2)
        slack = rounding * lengths.amax(1, keepdim=True)
        inside = (distances < border - slack).to(members.dtype)
        within = (distances <= border + slack).to(members.dtype)
        tied = within - inside
        shared = (kept - inside.sum(1, keepdim=True)) / tied.sum(1, keepdim=True)
        return (inside + tied * shared) / kept

    def _kept(self, mask: Bool[Tensor, "groups points"]) -> Int[Tensor, "groups 1"]:
        size = mask.sum(1, keepdim=True)
        return (size - (self.trim * size + SLACK).floor().long()).clamp_min(1)


def _distances_to_mean(
    members: Float[Tensor, "groups points width"], mask: Bool[Tensor, "groups points"]
) -> Float[Tensor, "groups points"]:
    """Infinite at padded places."""
    real = mask.to(members.dtype)
    mean = einsum("gp,gpw->gw", real / real.sum(1, keepdim=True), members)
    distances: Tensor = vector_norm(members - mean[:, None], dim=2)
    return distances.masked_fill(~mask, torch.inf)
