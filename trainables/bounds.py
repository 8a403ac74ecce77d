"""The margin ``m*`` and the bounds on the distance of two groups of one class.

Karimov (2023): if ``d(a, p) - d(a, n) <= m`` for all triplets, the means of two groups of one class
are at most ``2 max(m, D)`` apart. Everything here is float64, takes memory linear in the number of
points, and holds for embeddings: distances of raw inputs say nothing.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, einsum

from trainables.margin import GroupMargin, group_margin
from trainables.pairs import in_chunks, same_class_pairs

Bound = Literal["t1", "t1_prime", "t4"]
BOUNDS: tuple[Bound, ...] = ("t1", "t1_prime", "t4")
TOLERANCE = 1e-9
"""How far a distance may exceed its bound by rounding, as a share of the scale."""


class BoundedPairs(ABC):
    """Pairs of groups of one class with their distance and bounds on it, by name."""

    first: Int[Tensor, " pairs"]
    second: Int[Tensor, " pairs"]
    distance: Float[Tensor, " pairs"]
    scale: Float[Tensor, ""]

    @abstractmethod
    def bound(self, name: Any) -> Float[Tensor, " pairs"]:
        """The bound of that name."""

    @abstractmethod
    def violated(self, name: Any) -> Bool[Tensor, " pairs"]:
        """Whether the distance exceeds its bound by more than rounding explains."""

    def gap(self, name: Any) -> Float[Tensor, " pairs"]:
        """Bound minus distance; at least 0 up to rounding."""
        return self.bound(name) - self.distance

    def relative_gap(self, name: Any) -> Float[Tensor, " pairs"]:
        """Gap as a share of the scale; NaN where all points coincide."""
        return self.gap(name) / self.scale

    def tightness(self, name: Any) -> Float[Tensor, " pairs"]:
        """Distance as a share of its bound, from 0 to 1; 1 where both are 0."""
        bound = self.bound(name)
        return torch.where(self.distance == bound, 1.0, self.distance / bound)


@final
@dataclass(frozen=True)
class PairBounds(BoundedPairs):
    """Pairs of groups of one class: their distance and what bounds it; embedding units.

    Args:
        first, second: the groups of each pair.
        distance: of the two group embeddings.
        t1: ``2 max(m*, D)``, the theorem.
        t1_prime: ``m* + D``, from the theorem's proof; never above ``t1``.
        t4: ``m* + sum_ij alpha_i beta_j min(delta_i, delta_j)`` with the weights alpha and beta of
            the members in their group embeddings; never above ``t1_prime``.
        m_star, scale: of the points that were grouped, see :class:`trainables.margin.Margin`.

    The theorem takes D from either group of a pair, and both bounds hold: ``t1`` and ``t1_prime``
    are the smaller ones. Bounds are NaN for an aggregator that may leave the convex hull.
    """

    first: Int[Tensor, " pairs"]
    second: Int[Tensor, " pairs"]
    distance: Float[Tensor, " pairs"]
    t1: Float[Tensor, " pairs"]
    t1_prime: Float[Tensor, " pairs"]
    t4: Float[Tensor, " pairs"]
    m_star: Float[Tensor, ""]
    scale: Float[Tensor, ""]

    def bound(self, name: Bound) -> Float[Tensor, " pairs"]:
        """The bound of that name."""
        return {"t1": self.t1, "t1_prime": self.t1_prime, "t4": self.t4}[name]

    def violated(self, name: Bound) -> Bool[Tensor, " pairs"]:
        """Whether the distance exceeds its bound by more than rounding explains."""
        return self.distance > self.bound(name) + TOLERANCE * self.scale


def bounds(
    embeddings: Float[Tensor, "groups points width"],
    mask: Bool[Tensor, "groups points"],
    labels: Int[Tensor, " groups"],
    weights: Float[Tensor, "groups points"] | None,
    group_embeddings: Float[Tensor, "groups width"],
) -> PairBounds:
    """Distance and bounds of all pairs of groups of one class, ordered by class, first, second.

    Args:
        embeddings: of the members; arbitrary finite values at padded places.
        mask: True at real points.
        labels: class index of each group.
        weights: of each member in its group embedding: non-negative, sum 1, 0 at padded places;
            None where the group embedding may leave the convex hull of the members.
        group_embeddings: what the aggregator made of the members.
    """
    found = group_margin(embeddings, mask, labels)
    chunks = list(same_class_pairs(labels))
    first = torch.cat([labels.new_empty(0), *(chunk[0] for chunk in chunks)])
    second = torch.cat([labels.new_empty(0), *(chunk[1] for chunk in chunks)])
    return pair_bounds(found, (first, second), weights, group_embeddings)


def pair_bounds(
    found: GroupMargin,
    pairs: tuple[Int[Tensor, " pairs"], Int[Tensor, " pairs"]],
    weights: Float[Tensor, "groups points"] | None,
    group_embeddings: Float[Tensor, "groups width"],
) -> PairBounds:
    """Distance and bounds of the given pairs of groups; arguments as in :func:`bounds`."""
    first, second = pairs
    embeddings = group_embeddings.double()
    reach = torch.minimum(found.reach[first], found.reach[second])
    if weights is None:
        reach = torch.full_like(reach, torch.nan)
        nearest = reach
    else:
        nearest = _mean_smaller(found.delta, weights.double(), first, second)
    return PairBounds(
        first=first,
        second=second,
        distance=pair_distances(embeddings, first, second),
        t1=2 * torch.maximum(found.m_star, reach),
        t1_prime=found.m_star + reach,
        t4=found.m_star + nearest,
        m_star=found.m_star,
        scale=found.scale,
    )


def pair_distances(
    embeddings: Float[Tensor, "groups width"],
    first: Int[Tensor, " pairs"],
    second: Int[Tensor, " pairs"],
) -> Float[Tensor, " pairs"]:
    """Distance of the two group embeddings of each pair."""

    def of_chunk(one: Tensor, other: Tensor) -> Tensor:
        apart = embeddings.index_select(0, one).sub_(embeddings.index_select(0, other))
        return apart.square_().sum(1).sqrt_()

    return in_chunks(of_chunk, first, second, floats=embeddings.shape[1])


def _mean_smaller(
    delta: Float[Tensor, "groups points"],
    weights: Float[Tensor, "groups points"],
    first: Int[Tensor, " pairs"],
    second: Int[Tensor, " pairs"],
) -> Float[Tensor, " pairs"]:
    """``sum_ij alpha_i beta_j min(delta_i, delta_j)`` of each pair."""

    def of_chunk(one: Tensor, other: Tensor) -> Tensor:
        smaller = torch.minimum(delta[one][:, :, None], delta[other][:, None, :])
        return einsum("ni,nij,nj->n", weights[one], smaller, weights[other])

    return in_chunks(of_chunk, first, second, floats=delta.shape[1] ** 2)
