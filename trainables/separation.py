"""How far groups of different classes must be apart, and what a real margin certifies.

The theorem bounds groups of one class and says nothing of the others. With ``gamma = -m*`` and in
an inner product space, the same margin keeps group embeddings of different classes apart.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, einsum

from trainables.bounds import TOLERANCE
from trainables.distances import TILE, exact_distances, prepared, squared_distances
from trainables.margin import GroupMargin
from trainables.tighter_bounds import variance

SeparationBound = Literal["s1", "s2", "s3"]
SEPARATION_BOUNDS: tuple[SeparationBound, ...] = ("s1", "s2", "s3")


@final
@dataclass(frozen=True)
class Separation:
    """Pairs of groups of different classes: their distance and bounds below it; embedding units.

    Args:
        first, second: the groups of each pair, ``first < second``.
        distance: of the two group embeddings.
        s1: ``gamma``, where it is positive.
        s2: ``sqrt(gamma^2 + gamma (d_A + d_B))``, where gamma is positive; ``d_A`` is the weighted
            mean distance of a group's members to each other, ``sum_ij alpha_i alpha_j d_ij``.
        s3: ``sqrt(sum_ij alpha_i beta_j d_ij^2 - R_A - R_B)`` for any gamma, where ``R_A = 1/2
            sum_i alpha_i (1 - alpha_i) (delta_B(a_i) - gamma)^2`` bounds the variance of a group
            and ``delta_B(a)`` is the distance of a member to the nearest member of the other.
        scale: see :class:`trainables.margin.Margin`.

    A bound that promises nothing is 0: ``s1`` and ``s2`` without a positive gamma, or where each
    class has a single point, and all three without a triplet. ``s1 <= s2``.
    """

    first: Int[Tensor, " pairs"]
    second: Int[Tensor, " pairs"]
    distance: Float[Tensor, " pairs"]
    s1: Float[Tensor, " pairs"]
    s2: Float[Tensor, " pairs"]
    s3: Float[Tensor, " pairs"]
    scale: Float[Tensor, ""]

    def bound(self, name: SeparationBound) -> Float[Tensor, " pairs"]:
        """The bound of that name."""
        found: Tensor = getattr(self, name)
        return found

    def tightness(self, name: SeparationBound) -> Float[Tensor, " pairs"]:
        """Bound as a share of the distance, from 0 to 1; 1 where both are 0."""
        bound = self.bound(name)
        return torch.where(self.distance == bound, 1.0, bound / self.distance)

    def violated(self, name: SeparationBound) -> Bool[Tensor, " pairs"]:
        """Whether the distance is below its bound by more than rounding explains, in squares."""
        allowed = self.bound(name).square() - TOLERANCE * self.scale.square()
        return self.distance.square() < allowed


@torch.no_grad()
def separations(
    found: GroupMargin,
    members: Float[Tensor, "groups points width"],
    mask: Bool[Tensor, "groups points"],
    labels: Int[Tensor, " groups"],
    weights: Float[Tensor, "groups points"],
) -> Iterator[Separation]:
    """All pairs of groups of different classes, a tile at a time; a tile may hold no pair.

    Args:
        found: margin of the grouped points.
        members: embeddings of the groups' points; arbitrary finite values at padded places.
        mask: True at real points.
        labels: class index of each group.
        weights: of each member in its group embedding: non-negative, sum 1, 0 at padded places.
    """
    members, weights = members.double(), weights.double()
    # Inner products keep their digits near the origin.
    members = members - members[mask].mean(0)
    # A real point at padded places changes no minimum.
    real = members[torch.arange(len(mask), device=mask.device), mask.int().argmax(1)]
    members = torch.where(mask[:, :, None], members, real[:, None])
    several = labels.bincount(mask.sum(1))[labels] > 1
    groups = _Groups(found, members, labels, weights, several)
    points, start = mask.shape[1], 0
    while start < len(labels):
        stop = start + max(1, TILE // (points * points * (len(labels) - start)))
        yield groups.tile(start, min(stop, len(labels)))
        start = stop


def raise_largest(
    largest: Float[Tensor, " groups"],
    pairs: tuple[Int[Tensor, " pairs"], Int[Tensor, " pairs"]],
    bound: Float[Tensor, " pairs"],
) -> None:
    """Raises, in place, the largest bound of each group to those of some pairs it is part of."""
    for groups in pairs:
        largest.scatter_reduce_(0, groups, bound, "amax")


def certified(
    largest: Float[Tensor, " groups"], m_star: Float[Tensor, ""]
) -> Bool[Tensor, " groups"]:
    """Groups whose retrieval is free of errors by the half-margin certificate.

    Where no bound of a group exceeds gamma, which for T4 reads ``2 gamma >= sum_ij alpha_i beta_j
    min(delta_i, delta_j)``, all groups of its class are nearer than any other group, by S2. A group
    alone in its class has nothing to retrieve and is not certified.

    Args:
        largest: bound of each group with the other groups of its class, -inf where there is none.
        m_star: of the grouped points; certifies nothing unless negative.
    """
    return (largest > -torch.inf) & (largest <= -m_star) & (m_star < 0)


@final
class _Groups:
    """Groups to be compared, without padding.

    Args:
        found: margin of the grouped points.
        members: embeddings; places of weight 0 may repeat a point.
        labels: class index of each group.
        weights: of each member in its group embedding.
        several: whether the class of the group has several points.
    """

    def __init__(
        self,
        found: GroupMargin,
        members: Float[Tensor, "groups points width"],
        labels: Int[Tensor, " groups"],
        weights: Float[Tensor, "groups points"],
        several: Bool[Tensor, " groups"],
    ) -> None:
        self.found = found
        self.members = members
        self.labels = labels
        self.weights = weights
        self.several = several
        self.embeddings = einsum("gp,gpw->gw", weights, members)
        self.variance = variance(members, weights, self.embeddings)
        self.within = _mean_distances(members, weights)

    def tile(self, start: int, stop: int) -> Separation:
        """Pairs of groups ``start`` to ``stop`` with groups of other classes after them."""
        other = self.labels[start:stop, None] != self.labels[start:]
        first, second = other.triu(1).nonzero(as_tuple=True)
        distance = exact_distances(self.embeddings[start:stop], self.embeddings[start:])
        s3 = self._from_distances(start, stop, distance)[first, second]
        distance = distance[first, second]
        first, second = first + start, second + start
        gamma = -self.found.m_star
        promised = (gamma > 0) & (self.several[first] | self.several[second])
        within = self.within[first] + self.within[second]
        return Separation(
            first=first,
            second=second,
            distance=distance,
            s1=torch.where(promised, gamma, 0.0),
            s2=torch.where(promised, (gamma.square() + gamma * within).sqrt(), 0.0),
            s3=s3,
            scale=self.found.scale,
        )

    def _from_distances(
        self, start: int, stop: int, distance: Float[Tensor, "rows columns"]
    ) -> Float[Tensor, "rows columns"]:
        """S3 of groups ``start`` to ``stop`` against themselves and all later groups.

        The mean square of the distances across is that of the group embeddings plus the variances:
        no distance is squared.
        """
        rows, columns = self.members[start:stop], self.members[start:]
        sides = (prepared(side.flatten(0, 1)) for side in (rows, columns))
        tile = squared_distances(*sides).squares.view(*rows.shape[:2], *columns.shape[:2])
        one, other = self.weights[start:stop], self.weights[start:]
        apart = distance.square() + self.variance[start:stop, None] + self.variance[start:]
        to_column, to_row = tile.amin(3).sqrt_(), tile.amin(1).sqrt_()
        m_star = self.found.m_star
        spread = einsum("rp,rpc->rc", one * (1 - one), (to_column + m_star).square())
        spread += einsum("cq,rcq->rc", other * (1 - other), (to_row + m_star).square())
        return (apart - spread / 2).clamp(min=0).sqrt().nan_to_num(nan=0.0)


def _mean_distances(
    members: Float[Tensor, "groups points width"], weights: Float[Tensor, "groups points"]
) -> Float[Tensor, " groups"]:
    """Weighted mean distance of the members of a group to each other, themselves included."""
    size = max(1, TILE // (members.shape[1] ** 2 + members[0].numel()))
    means = []
    for of, weight in zip(members.split(size), weights.split(size), strict=True):
        apart = torch.cdist(of, of, compute_mode="donot_use_mm_for_euclid_dist")
        means.append(einsum("ni,nij,nj->n", weight, apart, weight))
    return torch.cat(means)
