"""What a known margin says of two groups of which nothing is known but their points.

Two groups that come to a model in service bring no points of other classes. These are taken from a
reference: labelled points that the model was judged by, with the margin that they were found to
have. The theory (docs/theory.md, section 4) bounds groups of *one* class, so a pair that is further
apart is not of one class, or does not keep the margin; a pair that is not says nothing.
"""

from dataclasses import dataclass
from typing import NamedTuple, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, einsum

from trainables.bounds import TOLERANCE, pair_distances
from trainables.distances import TILE, Prepared, prepared, squared_distances
from trainables.pairs import in_chunks
from trainables.tighter_bounds import variance

MOST = 1000
"""Points of a reference; more make bounds smaller and models larger."""


class Reference(NamedTuple):
    """Points of at least two classes, embedded and labelled, and a margin; embedding units."""

    embeddings: Float[Tensor, "rows width"]
    labels: Int[Tensor, " rows"]
    m_star: Float[Tensor, ""]


class _Nearest(NamedTuple):
    """Of each member: class and distance of the next reference point, and of any other class."""

    owner: Int[Tensor, "groups points"]
    distance: Float[Tensor, "groups points"]
    of_others: Float[Tensor, "groups points"]


@final
@dataclass(frozen=True)
class Certificates:
    """Pairs of groups: their distance, and how far groups of one class can be apart.

    Args:
        first, second: the groups of each pair.
        distance: of the two group embeddings, in embedding units.
        bound: if both groups are of one class, whichever it is, and their points and those of the
            reference keep the margin, the distance is at most this; at least 0.
        certified_different: whether the distance exceeds the bound by more than rounding explains:
            the groups are not of one class, or do not keep the margin.
    """

    first: Int[Tensor, " pairs"]
    second: Int[Tensor, " pairs"]
    distance: Float[Tensor, " pairs"]
    bound: Float[Tensor, " pairs"]
    certified_different: Bool[Tensor, " pairs"]


def reference(
    embeddings: Float[Tensor, "rows width"],
    labels: Int[Tensor, " rows"],
    m_star: float,
    most: int = MOST,
) -> Reference:
    """At most so many of the points, as equally many of each class as there are.

    Any choice gives valid bounds: fewer points can only make the nearest ones further.

    Args:
        embeddings: of the points; at least two classes.
        labels: class index of each point.
        m_star: the margin that was found of them.
        most: points to keep, at least 2.
    """
    order = labels.argsort(stable=True)
    _, counts = labels[order].unique_consecutive(return_counts=True)
    begins = (counts.cumsum(0) - counts).repeat_interleave(counts)
    within = torch.empty_like(order)
    within[order] = torch.arange(len(order)) - begins
    chosen = within.argsort(stable=True)[:most].sort().values
    return Reference(embeddings[chosen], labels[chosen], torch.tensor(m_star, dtype=torch.float64))


@torch.no_grad()
def certificates(
    known: Reference,
    members: Float[Tensor, "groups points width"],
    mask: Bool[Tensor, "groups points"],
    weights: Float[Tensor, "groups points"],
    pairs: tuple[Int[Tensor, " pairs"], Int[Tensor, " pairs"]],
) -> Certificates:
    """Distance and certificate of pairs of groups of a hull aggregator; computed in float64.

    Were both groups of class c, every reference point of another class would be a negative. With
    ``delta_i`` the distance of a member to the nearest of these, T4 and T6 bound the distance:
    ``m* + sum_ij alpha_i beta_j u_ij`` and ``sqrt(sum_ij alpha_i beta_j (m* + u_ij)^2 - V - W)``,
    where ``u_ij = min(delta_i, delta_j)``. The bound is the smaller of both, and the largest over
    all c. Classes that own no member's nearest reference point agree with a class that is not in
    the reference, and never have the largest.

    Args:
        known: reference points of other groups, and the margin.
        members: embeddings of the groups' points; arbitrary finite values at padded places.
        mask: True at real points.
        weights: of each member in its group embedding: non-negative, 0 at padded places; divided
            by their sum, which in float32 misses 1 by its rounding.
        pairs: first and second group of each pair.
    """
    members, weights = members.double(), weights.double()
    weights = weights / weights.sum(1, keepdim=True)
    embeddings = einsum("gp,gpw->gw", weights, members)
    nearest, m_star = _nearest(known, members, mask), known.m_star.double()
    spread = variance(members, weights, embeddings)

    def bound_of(one: Tensor, other: Tensor) -> Tensor:
        classes = torch.cat([nearest.owner[one], nearest.owner[other]], 1)
        delta = [_to_other_classes(nearest, groups, classes) for groups in (one, other)]
        smaller = torch.minimum(delta[0][..., :, None], delta[1][..., None, :])
        # Under the margin no distance of members is below 0, nor what bounds it.
        squares = (m_star + smaller).clamp(min=0).square()
        means = [
            einsum("ni,ncij,nj->nc", weights[one], of, weights[other]) for of in (smaller, squares)
        ]
        left = means[1] - (spread[one] + spread[other])[:, None]
        of_classes = torch.minimum(m_star + means[0], left.clamp(min=0).sqrt())
        return of_classes.amax(1).clamp(min=0)

    bound = in_chunks(bound_of, *pairs, floats=2 * mask.shape[1] ** 3)
    distance = pair_distances(embeddings, *pairs)
    furthest = nearest.of_others.amax(1)
    scale = m_star.abs() + torch.maximum(furthest[pairs[0]], furthest[pairs[1]])
    # Squares, as a root of a difference of squares loses half of its digits.
    different = distance.square() > bound.square() + TOLERANCE * scale.square()
    return Certificates(*pairs, distance, bound, different)


def _nearest(
    known: Reference,
    members: Float[Tensor, "groups points width"],
    mask: Bool[Tensor, "groups points"],
) -> _Nearest:
    """The nearest reference points of the members; padded places repeat a real point's."""
    places = (mask.flatten().cumsum(0) - 1).clamp_min(0).view(mask.shape)
    reference, step = prepared(known.embeddings.double()), max(1, TILE // len(known.labels))
    parts = [_nearest_of(reference, known.labels, rows) for rows in members[mask].split(step)]
    owner, distance, of_others = (torch.cat(part)[places] for part in zip(*parts, strict=True))
    return _Nearest(owner, distance, of_others)


def _nearest_of(
    reference: Prepared, labels: Int[Tensor, " points"], rows: Float[Tensor, "rows width"]
) -> tuple[Int[Tensor, " rows"], Float[Tensor, " rows"], Float[Tensor, " rows"]]:
    squares = squared_distances(prepared(rows), reference).squares
    least, place = squares.min(1)
    owner = labels[place]
    squares.masked_fill_(labels == owner[:, None], torch.inf)
    return owner, least.sqrt(), squares.amin(1).sqrt()


def _to_other_classes(
    nearest: _Nearest, groups: Int[Tensor, " pairs"], classes: Int[Tensor, "pairs classes"]
) -> Float[Tensor, "pairs classes points"]:
    """Distance of each member to the nearest reference point that is not of a class."""
    own = nearest.owner[groups][:, None] == classes[:, :, None]
    return torch.where(own, nearest.of_others[groups][:, None], nearest.distance[groups][:, None])
