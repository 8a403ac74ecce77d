"""Who attains the extremes: the triplet behind ``m*`` and the pairs behind the gaps."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from trainables.bounds import BoundedPairs
from trainables.distances import TILE, exact_distances


class Triplet(NamedTuple):
    """Points whose ``excess``, ``d(anchor, positive) - d(anchor, negative)``, is ``m*``."""

    anchor: int
    positive: int
    negative: int
    excess: float


class Pair(NamedTuple):
    """Two groups of one class, their distance, and bound minus distance; embedding units."""

    first: int
    second: int
    distance: float
    gap: float


@torch.no_grad()
def worst_triplet(
    points: Float[Tensor, "rows width"], labels: Int[Tensor, " rows"]
) -> Triplet | None:
    """The triplet that attains ``m*``, or None without any; the first one of several."""
    points = points.double()
    worst: tuple[float, int] = (-torch.inf, -1)
    for rows in torch.arange(len(points)).split(max(1, TILE // max(1, len(points)))):
        positives, negatives = _candidates(points, labels, rows)
        excess, row = (positives.amax(1) - negatives.amin(1)).max(0)
        if excess > worst[0]:
            worst = (excess.item(), int(rows[row]))
    excess_of, anchor = worst
    if anchor < 0:
        return None
    positives, negatives = _candidates(points, labels, torch.tensor([anchor]))
    return Triplet(anchor, int(positives.argmax()), int(negatives.argmin()), excess_of)


def worst_pairs(chunks: Iterable[BoundedPairs], name: Any) -> tuple[Pair, Pair] | None:
    """The pair with the largest gap and the one with the largest tightness; None without bounds.

    Args:
        chunks: bounds of pairs, held one at a time; the first pair wins where several are equal.
        name: of the bound, one that the chunks have.
    """
    worst = [
        (chunk.tightness(name)[row].item(), _pair(chunk, name, row))
        for chunk in chunks
        for row in worst_rows(chunk, name).tolist()
    ]
    if not worst:
        return None
    _, widest = max(worst, key=lambda of: of[1].gap)
    _, tightest = max(worst, key=lambda of: of[0])
    return widest, tightest


def worst_rows(found: BoundedPairs, name: Any) -> Int[Tensor, " rows"]:
    """Rows of the pairs that :func:`worst_pairs` names, each once; none without bounds."""
    values = torch.stack([found.gap(name), found.tightness(name)]).nan_to_num(nan=-torch.inf)
    if values.numel() == 0:
        return found.first
    largest, rows = values.max(1)
    worst: Tensor = rows[largest > -torch.inf].unique()
    return worst


def _pair(found: BoundedPairs, name: Any, row: int) -> Pair:
    measured = found.distance[row].item(), found.gap(name)[row].item()
    return Pair(int(found.first[row]), int(found.second[row]), *measured)


def _candidates(
    points: Float[Tensor, "rows width"], labels: Int[Tensor, " rows"], anchors: Int[Tensor, " some"]
) -> tuple[Float[Tensor, "some rows"], Float[Tensor, "some rows"]]:
    """Distances to positives, -inf elsewhere, and to negatives, inf elsewhere."""
    apart = exact_distances(points[anchors], points)
    same = labels[anchors, None] == labels
    negatives = apart.masked_fill(same, torch.inf)
    positives = apart.masked_fill(~same, -torch.inf)
    positives[torch.arange(len(anchors)), anchors] = -torch.inf
    return positives, negatives
