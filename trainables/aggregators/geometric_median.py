from typing import Annotated, final

import torch
from annotated_types import Ge, Gt, Le
from jaxtyping import Bool, Float
from torch import Tensor, einsum
from torch.linalg import vector_norm

from trainables.contracts import HullAggregator, Search, SearchAmong

SMALLEST = 1e-15
"""Least smoothing length, of groups of zeros."""


@final
class GeometricMedianAggregator(HullAggregator):
    """The point with the smallest sum of distances to the members, which outliers hardly move.

    Weiszfeld (1937): from the mean ``y``, a number of times, ``y <- sum_i w_i e_i`` with ``w_i``
    proportional to ``1 / ||e_i - y||``. That is undefined where the iterate meets a member, a case
    that Vardi and Zhang (2000) treat apart. Here ``1 / sqrt(||e_i - y||^2 + r^2)`` is
    defined everywhere and has a gradient; ``r`` is ``smoothing`` times the mean distance of the
    members to their mean. The iteration then minimises ``sum_i sqrt(||e_i - y||^2 + r^2)``, whose
    minimum is unique: halfway between two members, where every point between them is a median.
    The weights are those of the last iteration, so the result is in the hull however few there are.

    Args:
        width: floats per embedding, unchanged.
        iterations: number of steps from the mean.
        smoothing: share of the group's scale, in (0, 10]; small values approach the geometric
            median, large ones the mean.
    """

    smoothing: Tensor

    def __init__(
        self,
        width: int,
        *,
        iterations: Annotated[int, Ge(1), SearchAmong(4, 8, 16)] = 8,
        smoothing: Annotated[float, Gt(0), Le(10), Search(1e-3, 1.0, log=True)] = 0.01,
    ) -> None:
        super().__init__(width)
        self.iterations = iterations
        self.register_buffer("smoothing", torch.tensor(smoothing, dtype=torch.float64))

    def weights(
        self, embeddings: Float[Tensor, "groups points width"], mask: Bool[Tensor, "groups points"]
    ) -> Float[Tensor, "groups points"]:
        # Squares of what stands at padded places may overflow.
        members = embeddings.masked_fill(~mask[:, :, None], 0)
        real = mask.to(embeddings.dtype)
        weights = real / real.sum(1, keepdim=True)
        radius = self._radius(members, weights)
        for _ in range(self.iterations):
            # Divided before they are squared: 1 / r^3, in the gradient, overflows for small r.
            ratios = _offsets(members, weights) / radius[:, :, None]
            nearness = (1 + ratios.square().sum(2)).rsqrt() * real
            weights = nearness / nearness.sum(1, keepdim=True)
        return weights

    def _radius(
        self, members: Float[Tensor, "groups points width"], weights: Float[Tensor, "groups points"]
    ) -> Float[Tensor, "groups 1"]:
        """``r``, but never so small that the rounding of coinciding members counts as distance."""
        lengths: Tensor = vector_norm(members.detach(), dim=2)
        rounding = 8 * torch.finfo(members.dtype).eps * lengths.amax(1, keepdim=True)
        distances: Tensor = vector_norm(_offsets(members, weights), dim=2)
        scale = (weights * distances).sum(1, keepdim=True)
        return (self.smoothing * scale).maximum(rounding).clamp_min(SMALLEST)


def _offsets(
    members: Float[Tensor, "groups points width"], weights: Float[Tensor, "groups points"]
) -> Float[Tensor, "groups points width"]:
    return members - einsum("gp,gpw->gw", weights, members)[:, None]
