"""The margin ``m*`` of points and what else of their distances the bounds are made of.

Everything is float64 and takes memory linear in the number of points; ``scale`` alone is a mean of
roots in single precision, with a relative error below 2e-6.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from trainables.device import CPU
from trainables.tally import Tally, tiles


class Margin(NamedTuple):
    """How the points of a labelled set lie; embedding units.

    ``m_star`` is the smallest m that bounds ``d(a, p) - d(a, n)`` over all triplets, NaN where
    there is none; it is negative where every point is nearer to its own class. ``delta`` is each
    point's distance to its nearest point of another class, infinite where there is none. ``scale``
    is the mean distance of points of different classes, NaN where there are none.
    """

    m_star: Float[Tensor, ""]
    delta: Float[Tensor, " rows"]
    scale: Float[Tensor, ""]


class GroupMargin(NamedTuple):
    """How grouped points lie; fields as in :class:`Margin`, and the reach of each group.

    ``reach`` is the theorem's D with the best negative group: the smallest, over groups of other
    classes, of the largest distance of a point of this group to a point of that one; and
    ``point_reach`` the same with the best single negative, the smallest, over points of other
    classes, of the largest distance of a point of this group to it. Padded places of ``delta``
    repeat a real point of their group. ``m_squared`` is the smallest bound on
    ``d(a, p)^2 - d(a, n)^2`` over all triplets, in squared units, NaN where there is none.
    """

    m_star: Float[Tensor, ""]
    delta: Float[Tensor, "groups points"]
    reach: Float[Tensor, " groups"]
    scale: Float[Tensor, ""]
    m_squared: Float[Tensor, ""]
    point_reach: Float[Tensor, " groups"]


def margin(embeddings: Float[Tensor, "rows width"], labels: Int[Tensor, " rows"]) -> Margin:
    """Margin, nearest other classes and scale of labelled points.

    ``m* = max_a [max_p d(a, p) - min_n d(a, n)]``, the maximum over all triplets. A point alone in
    its class is an anchor of no triplet, and a negative of many.
    """
    alone = torch.ones_like(labels, dtype=torch.bool)[:, None]
    found = group_margin(embeddings[:, None], alone, labels)
    return Margin(found.m_star, found.delta[:, 0], found.scale)


@torch.no_grad()
def group_margin(
    embeddings: Float[Tensor, "groups points width"],
    mask: Bool[Tensor, "groups points"],
    labels: Int[Tensor, " groups"],
) -> GroupMargin:
    """Margin, nearest other classes, reach and scale of the points that are grouped.

    The work is done on the CPU, wherever the points are.
    """
    device = embeddings.device
    embeddings, mask, labels = embeddings.to(CPU), mask.to(CPU), labels.to(CPU)
    order = labels.argsort(stable=True)
    labels, mask = labels[order], mask[order]
    tally = Tally(_without_padding(embeddings.double()[order], mask), mask, labels)
    for rows, columns in tiles(*mask.shape):
        tally.add(rows, columns)
    if mask.shape[1] == 1:
        tally.reach = tally.point_reach = tally.nearest[0]
    nearest, furthest = torch.from_numpy(tally.nearest), torch.from_numpy(tally.furthest)
    count = _points_per_class(mask, labels)
    # A class of one point has no positive: without this its distance to itself would be one.
    m_squared = (torch.where(count > 1, furthest, -torch.inf) - nearest).max()
    m_star = (torch.where(count > 1, furthest.sqrt(), -torch.inf) - nearest.sqrt()).max()
    back = order.argsort()
    real = mask.sum(dtype=torch.float64)
    different = (real * real - (count * mask.sum(1)).sum()) / 2
    found = GroupMargin(
        m_star=torch.where(m_star == -torch.inf, torch.nan, m_star),
        delta=nearest.sqrt().T[back],
        reach=torch.from_numpy(tally.reach).sqrt()[back],
        scale=tally.total / different,
        m_squared=torch.where(m_squared == -torch.inf, torch.nan, m_squared),
        point_reach=torch.from_numpy(tally.point_reach).sqrt()[back],
    )
    return GroupMargin(*(value.to(device) for value in found))


def _without_padding(
    embeddings: Float[Tensor, "groups points width"], mask: Bool[Tensor, "groups points"]
) -> Float[Tensor, "groups points width"]:
    """Embeddings with a real point of the group at padded places, which changes no extreme."""
    real = mask.int().argmax(1)
    first = embeddings[torch.arange(len(embeddings), device=real.device), real]
    return torch.where(mask[:, :, None], embeddings, first[:, None])


def _points_per_class(
    mask: Bool[Tensor, "groups points"], labels: Int[Tensor, " groups"]
) -> Int[Tensor, " groups"]:
    """Real points in the class of each group."""
    return labels.bincount(mask.sum(1)).long()[labels]
