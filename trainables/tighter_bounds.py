"""Tighter bounds on the distance of two groups of one class, from the same margin.

Notation: ``d`` is the Euclidean distance of two members, ``m*`` the margin, ``delta`` a member's
distance to its nearest point of another class, alpha and beta the weights of the members in their
group embeddings. Each bound holds for all weights, hence for every hull aggregator. Everything is
float64, takes memory linear in the number of points, and holds for embeddings.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, einsum

from trainables.bounds import TOLERANCE, BoundedPairs, PairBounds, pair_bounds
from trainables.hinge_bounds import smaller_delta
from trainables.margin import GroupMargin, group_margin
from trainables.pairs import in_chunks

TighterBound = Literal["t1_double_prime", "t2", "t3", "t4", "t6", "t7", "best"]
TIGHTER_BOUNDS: tuple[TighterBound, ...] = (
    "t1_double_prime",
    "t2",
    "t3",
    "t4",
    "t6",
    "t7",
    "best",
)
ROOTS = {"t6", "t7", "best"}
"""Bounds that may be the root of a difference of squares."""


class HullGroups(NamedTuple):
    """Groups of a hull aggregator, as far as the bounds on their pairs look at them.

    ``found`` is the margin of the grouped points, ``embeddings`` the group embeddings ``sum_i
    alpha_i s_i`` and ``variance`` the mean squared distance of the members to them, ``sum_i alpha_i
    |s_i - z|^2``.
    """

    found: GroupMargin
    weights: Float[Tensor, "groups points"]
    embeddings: Float[Tensor, "groups width"]
    variance: Float[Tensor, " groups"]


@final
@dataclass(frozen=True)
class TighterBounds(BoundedPairs):
    """Pairs of groups of one class: their distance and tighter bounds on it; embedding units.

    Args:
        first, second: the groups of each pair.
        distance: of the two group embeddings.
        t1_double_prime: ``m* + min_n max_i d(s_i, n)``: the theorem's D with the best single
            negative, of one group.
        t2: ``m* + max_i delta_i`` over the members of one group.
        t3: ``m* + sum_i alpha_i delta_i`` over the members of one group.
        t4: ``m* + sum_ij alpha_i beta_j min(delta_i, delta_j)``; either member is the anchor.
        t6: ``sqrt(sum_ij alpha_i beta_j (m* + min(delta_i, delta_j))^2 - V - W)``, from
            ``|z - w|^2 = sum_ij alpha_i beta_j d_ij^2 - V - W``, where V and W are the variances.
        t7: ``sqrt(m2 + sum_ij alpha_i beta_j min(delta_i, delta_j)^2 - V - W)``, the same with the
            squared margin m2.
        scale: see :class:`trainables.margin.Margin`.

    The anchors of ``t1_double_prime``, ``t2`` and ``t3`` are the members of one group; both groups
    give a valid bound, and these are the smaller ones. ``t4 <= t3 <= t2 <= t1_double_prime <=
    t1_prime <= t1``; ``t6 <= t4``; ``t7`` has no place in that order. ``t6`` and ``t7`` need an
    inner product, the others hold in any norm.
    """

    first: Int[Tensor, " pairs"]
    second: Int[Tensor, " pairs"]
    distance: Float[Tensor, " pairs"]
    t1_double_prime: Float[Tensor, " pairs"]
    t2: Float[Tensor, " pairs"]
    t3: Float[Tensor, " pairs"]
    t4: Float[Tensor, " pairs"]
    t6: Float[Tensor, " pairs"]
    t7: Float[Tensor, " pairs"]
    scale: Float[Tensor, ""]

    @property
    def best(self) -> Float[Tensor, " pairs"]:
        """The smallest bound of each pair: of T4, T6 and T7."""
        return torch.minimum(self.t4, torch.minimum(self.t6, self.t7))

    def bound(self, name: TighterBound) -> Float[Tensor, " pairs"]:
        """The bound of that name."""
        found: Tensor = getattr(self, name)
        return found

    def violated(self, name: TighterBound) -> Bool[Tensor, " pairs"]:
        """Whether the distance exceeds its bound by more than rounding explains.

        Where a bound is a root, squares are compared: the root of a difference of squares loses
        half of their digits.
        """
        bound = self.bound(name)
        if name not in ROOTS:
            return self.distance > bound + TOLERANCE * self.scale
        return self.distance.square() > bound.square() + TOLERANCE * self.scale.square()


def hull_groups(
    members: Float[Tensor, "groups points width"],
    mask: Bool[Tensor, "groups points"],
    labels: Int[Tensor, " groups"],
    weights: Float[Tensor, "groups points"],
) -> HullGroups:
    """Measures groups once, so that :func:`tighter_bounds` is cheap for each chunk of pairs.

    Args:
        members: embeddings of the groups' points; arbitrary finite values at padded places.
        mask: True at real points.
        labels: class index of each group.
        weights: of each member in its group embedding: non-negative, sum 1, 0 at padded places.
    """
    members, weights = members.double(), weights.double()
    embeddings = einsum("gp,gpw->gw", weights, members)
    return HullGroups(
        found=group_margin(members, mask, labels),
        weights=weights,
        embeddings=embeddings,
        variance=variance(members, weights, embeddings),
    )


def variance(
    members: Float[Tensor, "groups points width"],
    weights: Float[Tensor, "groups points"],
    embeddings: Float[Tensor, "groups width"],
) -> Float[Tensor, " groups"]:
    """Mean squared distance of members to their group embedding, ``sum_i alpha_i |s_i - z|^2``."""
    squares = (members - embeddings[:, None]).square_().sum(2)
    return einsum("gp,gp->g", weights, squares)


def tighter_bounds(
    groups: HullGroups, pairs: tuple[Int[Tensor, " pairs"], Int[Tensor, " pairs"]]
) -> TighterBounds:
    """Distance and bounds of the given pairs of groups, each pair of one class."""
    return tightened(groups, pair_bounds(groups.found, pairs, groups.weights, groups.embeddings))


def tightened(groups: HullGroups, found: PairBounds) -> TighterBounds:
    """The same, where the looser bounds of the pairs are known already."""
    first, second = found.first, found.second
    m_star, delta = groups.found.m_star, groups.found.delta
    reach = groups.found.point_reach
    furthest, average = delta.amax(1), einsum("gp,gp->g", groups.weights, delta)
    squares = in_chunks(
        lambda *chunk: _squares(groups, *chunk), first, second, floats=delta.shape[1] ** 2
    )
    spread = groups.variance[first] + groups.variance[second]
    return TighterBounds(
        first=first,
        second=second,
        distance=found.distance,
        t1_double_prime=m_star + torch.minimum(reach[first], reach[second]),
        t2=m_star + torch.minimum(furthest[first], furthest[second]),
        t3=m_star + torch.minimum(average[first], average[second]),
        t4=found.t4,
        t6=(squares[:, 0] - spread).clamp(min=0).sqrt(),
        t7=(groups.found.m_squared + squares[:, 1] - spread).clamp(min=0).sqrt(),
        scale=groups.found.scale,
    )


def _squares(
    groups: HullGroups, first: Int[Tensor, " pairs"], second: Int[Tensor, " pairs"]
) -> Float[Tensor, "pairs 2"]:
    """Weighted means of the square of ``min(delta_i, delta_j)``, with m* added and without.

    The square with m* is not expanded: far-apart classes would cancel in it.
    """
    weights = groups.weights
    smaller = smaller_delta(groups.found, (first, second))
    means = ((groups.found.m_star + smaller).square(), smaller.square())
    return torch.stack(
        [einsum("ni,nij,nj->n", weights[first], of, weights[second]) for of in means], 1
    )
