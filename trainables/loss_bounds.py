"""The bounds from average losses of many pairs, as an evaluation measures them."""

from dataclasses import dataclass
from functools import partial
from typing import Literal, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Generator, Tensor

from trainables.bounds import TOLERANCE, BoundedPairs
from trainables.hinge_bounds import (
    Pairs,
    from_excess,
    from_hinges,
    member_distances,
    smaller_delta,
)
from trainables.margin import GroupMargin
from trainables.pairs import in_chunks
from trainables.tighter_bounds import HullGroups

LossBound = Literal["t8", "t9"]
LOSS_BOUNDS: tuple[LossBound, ...] = ("t8", "t9")
FORGIVEN = 0.01
"""Share of distances of members that may exceed the threshold of T9."""


@final
@dataclass(frozen=True)
class LossBounds(BoundedPairs):
    """Pairs of groups of one class: their distance and bounds from mean losses; embedding units.

    Args:
        first, second: the groups of each pair.
        distance: of the two group embeddings.
        t8: T8 with the first group as anchor, at a margin of 0: the mean of ``max{d(a, p), d(a,
            n)}``. Larger margins only tighten it, down to the mean of ``d(a, p)``.
        t9: T9 at ``threshold``.
        threshold: the margin that all but 1% of the distances of members keep: no more of them
            exceed their smaller delta by more. All keep ``m*``, so that T9 is never above T4.
        scale: see :class:`trainables.margin.Margin`.
    """

    first: Int[Tensor, " pairs"]
    second: Int[Tensor, " pairs"]
    distance: Float[Tensor, " pairs"]
    t8: Float[Tensor, " pairs"]
    t9: Float[Tensor, " pairs"]
    threshold: Float[Tensor, ""]
    scale: Float[Tensor, ""]

    def bound(self, name: LossBound) -> Float[Tensor, " pairs"]:
        """The bound of that name."""
        return {"t8": self.t8, "t9": self.t9}[name]

    def violated(self, name: LossBound) -> Bool[Tensor, " pairs"]:
        """Whether the distance exceeds its bound by more than rounding explains."""
        return self.distance > self.bound(name) + TOLERANCE * self.scale


@torch.no_grad()
def loss_bounds(
    groups: HullGroups,
    members: Float[Tensor, "groups points width"],
    labels: Int[Tensor, " groups"],
    pairs: Pairs,
    seed: int,
) -> LossBounds:
    """Distance and bounds from mean losses of some pairs of groups of one class.

    Args:
        groups: the groups as measured.
        members: embeddings of the groups' points; arbitrary finite values at padded places.
        labels: class index of each group.
        pairs: at least one.
        seed: of the choice of a group of another class for T8, one for each pair. Without other
            classes T8 is NaN.
    """
    first, second = pairs
    negative = _negatives(labels, first, seed)
    members, weights, found = members.double(), groups.weights, groups.found
    within = _member_distances(members, first, second)
    across = _member_distances(members, first, negative)
    t8, _ = from_hinges(weights, (first, second, negative), within, across, 0.0).unbind(1)
    threshold = _threshold(found, weights, pairs, within)
    return LossBounds(
        first=first,
        second=second,
        distance=(groups.embeddings[first] - groups.embeddings[second]).norm(dim=1),
        t8=torch.where(labels[negative] == labels[first], torch.nan, t8),
        t9=from_excess(found, weights, pairs, within, threshold),
        threshold=threshold,
        scale=found.scale,
    )


def _negatives(
    labels: Int[Tensor, " groups"], anchors: Int[Tensor, " pairs"], seed: int
) -> Int[Tensor, " pairs"]:
    """A group of another class for each anchor, where there is one; all are equally likely."""
    counts = labels.bincount()
    own = counts[labels[anchors]]
    begin = (counts.cumsum(0) - counts)[labels[anchors]]
    generator = Generator().manual_seed(seed)
    chance = torch.rand(len(anchors), generator=generator, dtype=torch.float64).to(labels.device)
    place = (chance * (len(labels) - own)).long()
    # In the order of the classes, the anchor's own one is stepped over.
    place += own * (place >= begin)
    return labels.argsort(stable=True)[place.clamp(max=len(labels) - 1)]


def _threshold(
    found: GroupMargin,
    weights: Float[Tensor, "groups points"],
    pairs: Pairs,
    within: Float[Tensor, "pairs points points"],
) -> Float[Tensor, ""]:
    """What all but a share of ``FORGIVEN`` of ``d_ij - min(delta_i, delta_j)`` do not exceed."""
    first, second = pairs
    counts = (weights[first, :, None] * weights[second, None, :]) > 0
    excess = (within - smaller_delta(found, pairs)).masked_fill_(~counts, torch.inf)
    count = int(counts.sum())
    return excess.flatten().kthvalue(count - int(FORGIVEN * count)).values


def _member_distances(
    members: Float[Tensor, "groups points width"],
    first: Int[Tensor, " pairs"],
    second: Int[Tensor, " pairs"],
) -> Float[Tensor, "pairs points points"]:
    """Distances of the members of one group to those of the other, all of them at once."""
    measure = partial(member_distances, members)
    floats = members.shape[1] ** 2 + members[0].numel()
    return in_chunks(measure, first, second, floats=floats)
