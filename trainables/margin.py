"""The margin ``m*`` of points and what else of their distances the bounds are made of.

Everything is float64 and takes memory linear in the number of points.
"""

from collections.abc import Iterator
from typing import NamedTuple, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from trainables.distances import TILE, distances


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
    """Margin, nearest other classes, reach and scale of the points that are grouped."""
    order = labels.argsort(stable=True)
    labels, mask = labels[order], mask[order]
    tally = _Tally(_without_padding(embeddings.double()[order], mask), mask, labels)
    for start, stop in _row_tiles(*mask.shape):
        tally.add(start, stop)
    count = _points_per_class(mask, labels)
    # A class of one point has no positive: without this its distance to itself would be one.
    anchors = torch.where(count > 1, tally.furthest, -torch.inf)
    m_star = (anchors - tally.nearest).max()
    # The square of -inf keeps its sign.
    m_squared = (anchors * anchors.abs() - tally.nearest.square()).max()
    back = order.argsort()
    real = mask.sum(dtype=torch.float64)
    different = (real * real - (count * mask.sum(1)).sum()) / 2
    return GroupMargin(
        m_star=torch.where(m_star == -torch.inf, torch.nan, m_star),
        delta=tally.nearest.T[back],
        reach=tally.reach[back],
        scale=tally.total / different,
        m_squared=torch.where(m_squared == -torch.inf, torch.nan, m_squared),
        point_reach=tally.point_reach[back],
    )


@final
class _Tally:
    """Extremes and sum of the distances seen so far, over groups that are ordered by class.

    Args:
        members: embeddings of the groups, without padding.
        mask: False at places that only repeat a point.
        labels: class index of each group, ascending.
    """

    def __init__(
        self,
        members: Float[Tensor, "groups points width"],
        mask: Bool[Tensor, "groups points"],
        labels: Int[Tensor, " groups"],
    ) -> None:
        # Places first: minima and maxima over a group's places then run along the many groups.
        self.members = (members - members.mean((0, 1))).transpose(0, 1).contiguous()
        self.mask = mask.T.to(members.dtype)
        self.labels = labels
        self.nearest = torch.full_like(self.mask, torch.inf)
        self.furthest = torch.zeros_like(self.mask)
        self.reach = torch.full_like(self.mask[0], torch.inf)
        self.point_reach = self.reach.clone()
        self.total = members.new_zeros(())

    def add(self, start: int, stop: int) -> None:
        """Counts the distances of groups ``start`` to ``stop`` to themselves and to later ones."""
        rows, columns = self.members[:, start:stop], self.members[:, start:]
        tile = distances(rows.flatten(0, 1), columns.flatten(0, 1))
        tile = tile.view(*rows.shape[:2], *columns.shape[:2])
        # Labels ascend: only the first columns can hold the classes of these rows.
        border = int(torch.searchsorted(self.labels, self.labels[stop - 1], right=True)) - start
        same = self.labels[start:stop, None, None] == self.labels[start : start + border]
        close = tile[..., :border]
        inside = close.masked_fill(~same, 0)
        _raise(self.furthest[:, start:stop], inside.amax((2, 3)))
        _raise(self.furthest[:, start : start + border], inside.amax((0, 1)))
        close.masked_fill_(same, 0)
        self._sum(tile, start, stop)
        close.masked_fill_(same, torch.inf)
        _lower(self.nearest[:, start:stop], tile.amin((2, 3)))
        _lower(self.nearest[:, start:], tile.amin((0, 1)))
        to_rows, to_columns = _largest(tile, 0), _largest(tile, 2)
        _lower(self.point_reach[start:stop], to_rows.amin((1, 2)))
        _lower(self.point_reach[start:], to_columns.amin((0, 1)))
        apart = _largest(to_columns, 0)
        _lower(self.reach[start:stop], apart.amin(1))
        _lower(self.reach[start:], apart.amin(0))

    def _sum(
        self, tile: Float[Tensor, "places rows points columns"], start: int, stop: int
    ) -> None:
        """Adds the distances of real points; pairs inside these groups stand twice in ``tile``."""
        counted = self.mask[:, start:].clone()
        counted[:, : stop - start] /= 2
        sums = tile.flatten(2).flatten(0, 1) @ counted.flatten()
        self.total += self.mask[:, start:stop].flatten() @ sums


def _without_padding(
    embeddings: Float[Tensor, "groups points width"], mask: Bool[Tensor, "groups points"]
) -> Float[Tensor, "groups points width"]:
    """Embeddings with a real point of the group at padded places, which changes no extreme."""
    real = mask.int().argmax(1)
    first = embeddings[torch.arange(len(embeddings), device=real.device), real]
    return torch.where(mask[:, :, None], embeddings, first[:, None])


def _row_tiles(groups: int, points: int) -> Iterator[tuple[int, int]]:
    """Ranges of groups whose distances to themselves and all later groups fit in a tile."""
    start = 0
    while start < groups:
        stop = min(groups, start + max(1, TILE // (points * points * (groups - start))))
        yield start, stop
        start = stop


def _points_per_class(
    mask: Bool[Tensor, "groups points"], labels: Int[Tensor, " groups"]
) -> Int[Tensor, " groups"]:
    """Real points in the class of each group."""
    return labels.bincount(mask.sum(1)).long()[labels]


def _largest(tile: Tensor, dim: int) -> Tensor:
    """Maximum over places; of a single one there is nothing to copy."""
    return tile.amax(dim) if tile.shape[dim] > 1 else tile.squeeze(dim)


def _lower(kept: Tensor, found: Tensor) -> None:
    torch.minimum(kept, found, out=kept)


def _raise(kept: Tensor, found: Tensor) -> None:
    torch.maximum(kept, found, out=kept)
