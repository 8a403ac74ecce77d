"""Bounds on groups of one class from average losses, and what they say beyond the embedding space.

No worst triplet appears in them: a few bad triplets move a mean little, while they decide ``m*``.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, einsum

from trainables.margin import GroupMargin
from trainables.pairs import in_chunks

Pairs = tuple[Int[Tensor, " pairs"], Int[Tensor, " pairs"]]
Triples = tuple[Int[Tensor, " triples"], Int[Tensor, " triples"], Int[Tensor, " triples"]]


class HingeBound(NamedTuple):
    """The bound T8 of each triple of groups, and the mean hinge in it; embedding units."""

    bound: Float[Tensor, " triples"]
    hinge: Float[Tensor, " triples"]


@torch.no_grad()
def hinge_bound(
    members: Float[Tensor, "groups points width"],
    weights: Float[Tensor, "groups points"],
    triples: Triples,
    margin: float,
) -> HingeBound:
    """T8: the distance of two groups of one class, from the mean triplet loss on their members.

    ``|z - w| <= sum_ik alpha_i nu_k d(s_i, n_k) - margin + hinge``, where ``hinge = sum_ijk alpha_i
    beta_j nu_k [d(s_i, t_j) - d(s_i, n_k) + margin]_+``. It needs no assumption: ``x <= -margin +
    [x + margin]_+`` for every x, and the mean of ``d(s_i, t_j)`` is above the distance.

    Args:
        members: embeddings of the groups' points; arbitrary finite values at padded places.
        weights: of each member in its group embedding: non-negative, sum 1, 0 at padded places.
        triples: anchor group, positive group of its class, negative group of another class.
        margin: of the triplet loss, any sign, embedding units.
    """
    members, weights = members.double(), weights.double()

    def of_chunk(anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        within = member_distances(members, anchor, positive)
        across = member_distances(members, anchor, negative)
        return from_hinges(weights, (anchor, positive, negative), within, across, margin)

    floats = members.shape[1] ** 3 + members[0].numel()
    return HingeBound(*in_chunks(of_chunk, *triples, floats=floats).unbind(1))


def from_hinges(
    weights: Float[Tensor, "groups points"],
    triples: Triples,
    within: Float[Tensor, "triples points points"],
    across: Float[Tensor, "triples points points"],
    margin: float,
) -> Float[Tensor, "triples 2"]:
    """T8 and the mean hinge from the distances of anchors to positives and to negatives."""
    anchor, positive, negative = (weights[of] for of in triples)
    hinges = (within[:, :, :, None] - across[:, :, None] + margin).clamp_(min=0)
    hinge = einsum("ni,nj,nij->n", anchor, positive, einsum("nijk,nk->nij", hinges, negative))
    reached = einsum("ni,nik,nk->n", anchor, across, negative)
    return torch.stack([reached - margin + hinge, hinge], 1)


@torch.no_grad()
def excess_bound(
    found: GroupMargin,
    members: Float[Tensor, "groups points width"],
    weights: Float[Tensor, "groups points"],
    pairs: Pairs,
    threshold: float,
) -> Float[Tensor, " pairs"]:
    """T9: the distance of two groups of one class, from the mean excess over a threshold.

    ``|z - w| <= t + sum_ij alpha_i beta_j (u_ij + [d_ij - u_ij - t]_+)``, where ``u_ij =
    min(delta_i, delta_j)``. At ``t = m*`` it is T4; at ``t = -margin`` the mean is the batch-hard
    hinge; smaller t only tighten it, down to the mean distance of the members.

    Args:
        found: margin of the grouped points.
        members: embeddings of the groups' points; arbitrary finite values at padded places.
        weights: of each member in its group embedding: non-negative, sum 1, 0 at padded places.
        pairs: groups of one class.
        threshold: t, any sign, embedding units.
    """
    members, weights = members.double(), weights.double()

    def of_chunk(first: Tensor, second: Tensor) -> Tensor:
        within = member_distances(members, first, second)
        return from_excess(found, weights, (first, second), within, threshold)

    return in_chunks(of_chunk, *pairs, floats=members.shape[1] ** 2 + members[0].numel())


def from_excess(
    found: GroupMargin,
    weights: Float[Tensor, "groups points"],
    pairs: Pairs,
    within: Float[Tensor, "pairs points points"],
    threshold: float | Float[Tensor, ""],
) -> Float[Tensor, " pairs"]:
    """T9 from the distances of members."""
    first, second = pairs
    smaller = smaller_delta(found, pairs)
    excess = smaller + (within - smaller - threshold).clamp_(min=0)
    return threshold + einsum("ni,nij,nj->n", weights[first], excess, weights[second])


def normalised_bound(
    bound: Float[Tensor, " pairs"],
    first: Float[Tensor, "pairs width"],
    second: Float[Tensor, "pairs width"],
) -> Float[Tensor, " pairs"]:
    """Bounds the distance of normalised group embeddings: ``2 bound / (|z| + |w|)``.

    A normalised mean leaves the convex hull, so a bound on the means is none on it: in an inner
    product space ``|z/|z| - w/|w|| <= 2 |z - w| / (|z| + |w|)`` (Dunkl and Williams, 1964). It is 0
    where both are 0, which normalise to 0.
    """
    lengths = first.double().norm(dim=1) + second.double().norm(dim=1)
    return torch.where(lengths == 0, 0.0, 2 * bound / lengths)


def smaller_delta(found: GroupMargin, pairs: Pairs) -> Float[Tensor, "pairs points points"]:
    """The smaller distance of two members to another class, ``min(delta_i, delta_j)``."""
    first, second = pairs
    return torch.minimum(found.delta[first, :, None], found.delta[second, None, :])


def member_distances(
    members: Float[Tensor, "groups points width"],
    first: Int[Tensor, " pairs"],
    second: Int[Tensor, " pairs"],
) -> Float[Tensor, "pairs points points"]:
    """Distances of the members of one group to those of the other."""
    one, other = members.index_select(0, first), members.index_select(0, second)
    return torch.cdist(one, other, compute_mode="donot_use_mm_for_euclid_dist")
