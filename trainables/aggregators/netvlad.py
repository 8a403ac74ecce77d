from typing import Annotated, Any, final

import torch
from annotated_types import Ge, Gt, Le
from jaxtyping import Bool, Float
from torch import Tensor, einsum, nn
from torch.nn.functional import normalize

from trainables.contracts import Aggregator, Search, SearchAmong

SHORTEST = 1e-6
"""Least length that a residual is divided by: members at a centre have no direction from it."""


@final
class NetvladAggregator(Aggregator):
    """In which direction from learned cluster centres the members lie.

    ``V_k = sum_i a_k(e_i) (e_i - c_k)`` with ``a_k(e) = softmax_k(w_k . e + b_k)``; Arandjelovic
    et al. (2016), "NetVLAD", equations 3 and 4. Each ``V_k`` is scaled to length 1
    (intra-normalisation), then all of them together, and a linear map takes them to ``width``.
    Ghost clusters take part in the softmax and are left out of the result, so a poor member can
    count for less; Zhong et al. (2018), "GhostVLAD", section 3.

    Groups of different sizes compare through the intra-normalisation, which leaves nothing of the
    number of members in the sums. Of a group of one point, it leaves nothing of the assignment.

    As in the paper, ``w_k = 2 sharpness c_k`` and ``b_k = -sharpness ||c_k||^2`` at first, so that
    near centres get more, and all three are learned apart; the first centres are random directions
    of length 1, as there are no embeddings to cluster before training.

    Args:
        width: floats per embedding, unchanged.
        clusters: centres whose residuals are kept; at least 2 where there are no ghosts.
        ghosts: clusters that only take members away.
        sharpness: of the assignment before training, in (0, 1000], per squared unit of an
            embedding; large values assign to the nearest centre alone.
    """

    outside_hull = "residuals from cluster centres are scaled and projected, not averaged"

    def __init__(
        self,
        width: int,
        *,
        clusters: Annotated[int, Ge(1), SearchAmong(4, 8, 16)] = 8,
        ghosts: Annotated[int, Ge(0), SearchAmong(0, 1, 2)] = 1,
        sharpness: Annotated[float, Gt(0), Le(1000), Search(1.0, 30.0, log=True)] = 5.0,
    ) -> None:
        super().__init__(width)
        centres = normalize(torch.randn(clusters + ghosts, width), dim=1)
        self.centres = nn.Parameter(centres[:clusters].clone())
        self.assignment = nn.Linear(width, clusters + ghosts)
        with torch.no_grad():
            self.assignment.weight.copy_(2 * sharpness * centres)
            self.assignment.bias.copy_(-sharpness * centres.square().sum(1))
        # Without a bias: it would shift all groups alike, which their distances do not see.
        self.projection = nn.Linear(clusters * width, width, bias=False)

    @classmethod
    def check(cls, *, clusters: int, ghosts: int, **others: Any) -> list[str]:
        """Rules across options."""
        if clusters + ghosts > 1:
            return []
        return ["clusters: must be at least 2 where there are no ghosts, got 1"]

    def forward(
        self, embeddings: Float[Tensor, "groups points width"], mask: Bool[Tensor, "groups points"]
    ) -> Float[Tensor, "groups width"]:
        real = embeddings.masked_fill(~mask[:, :, None], 0)
        logarithms = self.assignment(real).log_softmax(2)[:, :, : len(self.centres)]
        # V_k over its sum of assignments, of the same direction: no sharp assignment underflows.
        shares = logarithms.masked_fill(~mask[:, :, None], -torch.inf).softmax(1)
        residuals = einsum("gpk,gpw->gkw", shares, real) - self.centres
        directions = normalize(residuals, dim=2, eps=SHORTEST).flatten(1)
        result: Tensor = self.projection(normalize(directions, dim=1, eps=SHORTEST))
        return result
