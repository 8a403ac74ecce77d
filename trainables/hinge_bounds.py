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
        within = _distances(members[anchor], members[positive])
        across = _distances(members[anchor], members[negative])
        hinges = (within[:, :, :, None] - across[:, :, None] + margin).clamp_(min=0)
        reached = einsum("ni,nik,nk->n", weights[anchor], across, weights[negative])
        of_members = weights[anchor], weights[positive], weights[negative]
        hinge = einsum("ni,nj,nk,nijk->n", *of_members, hinges)
        return torch.stack([reached - margin + hinge, hinge], 1)

    floats = members.shape[1] ** 3 + members[0].numel()
    return HingeBound(*in_chunks(of_chunk, *triples, floats=floats).unbind(1))


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
        apart = _distances(members[first], members[second])
        smaller = torch.minimum(found.delta[first, :, None], found.delta[second, None, :])
        excess = smaller + (apart - smaller - threshold).clamp_(min=0)
        return threshold + einsum("ni,nij,nj->n", weights[first], excess, weights[second])

    return in_chunks(of_chunk, *pairs, floats=members.shape[1] ** 2 + members[0].numel())


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


def bound_from_inputs(
    m_star: Float[Tensor, ""], reach: Float[Tensor, " pairs"], lipschitz: float
) -> Float[Tensor, " pairs"]:
    """Reads a bound in the input space: ``m* + lipschitz * reach``.

    ``m*`` is of the embeddings. ``reach`` is the theorem's D, or any other mean or maximum of
    distances to negatives that a bound adds to ``m*``, of the raw inputs: an encoder with that
    constant stretches it by no more. Without the constant it bounds nothing: ``f(x) = 10 x``.
    """
    return m_star + lipschitz * reach


def _distances(
    rows: Float[Tensor, "pairs points width"], columns: Float[Tensor, "pairs points width"]
) -> Float[Tensor, "pairs points points"]:
    return torch.cdist(rows, columns, compute_mode="donot_use_mm_for_euclid_dist")
