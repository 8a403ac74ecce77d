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
    largest, worst = -torch.inf, None
    for rows in torch.arange(len(points)).split(max(1, TILE // max(1, len(points)))):
        furthest, nearest = _extremes(points, labels, rows)
        excess, row = (furthest.values - nearest.values).max(0)
        if excess > largest:
            largest, positive, negative = excess.item(), furthest.indices[row], nearest.indices[row]
            worst = Triplet(int(rows[row]), int(positive), int(negative), largest)
    return worst


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


def _extremes(
    points: Float[Tensor, "rows width"], labels: Int[Tensor, " rows"], anchors: Int[Tensor, " some"]
) -> tuple[torch.return_types.max, torch.return_types.min]:
    """Of each anchor the furthest positive, -inf without any, and the nearest negative, or inf."""
    apart = exact_distances(points[anchors], points)
    same = labels[anchors, None] == labels
    nearest = apart.masked_fill(same, torch.inf).min(1)
    apart.masked_fill_(same.logical_not_(), -torch.inf)
    apart[torch.arange(len(anchors)), anchors] = -torch.inf
    return apart.max(1), nearest
