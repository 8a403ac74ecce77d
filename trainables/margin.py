"""The margin ``m*`` of points and what else of their distances the bounds are made of.

Everything is float64 and takes memory linear in the number of points; ``scale`` alone is a mean of
roots in single precision, with a relative error below 1e-6.
"""

from collections.abc import Iterator
from typing import NamedTuple, final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from trainables.device import CPU
from trainables.distances import Prepared, prepared, squared_distances

SIDE = 512
"""Points of a tile along each side: its squared distances stay in a core's cache."""


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
    for rows, columns in tiles(*mask.shape):
        tally.add(rows, columns)
    if mask.shape[1] == 1:
        tally.reach = tally.point_reach = tally.nearest[0]
    count = _points_per_class(mask, labels)
    # A class of one point has no positive: without this its distance to itself would be one.
    furthest = torch.where(count > 1, tally.furthest, -torch.inf)
    m_squared = (furthest - tally.nearest).max()
    # There is no root of -inf.
    m_star = (torch.where(count > 1, furthest.sqrt(), -torch.inf) - tally.nearest.sqrt()).max()
    back = order.argsort()
    real = mask.sum(dtype=torch.float64)
    different = (real * real - (count * mask.sum(1)).sum()) / 2
    return GroupMargin(
        m_star=torch.where(m_star == -torch.inf, torch.nan, m_star),
        delta=tally.nearest.sqrt().T[back],
        reach=tally.reach.sqrt()[back],
        scale=tally.total / different,
        m_squared=torch.where(m_squared == -torch.inf, torch.nan, m_squared),
        point_reach=tally.point_reach.sqrt()[back],
    )


@final
class _Tally:
    """Extremes and sum of the distances seen so far, over groups that are ordered by class.

    Extremes are those of squared distances, which need no roots.

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
        self._members = (members - members.mean((0, 1))).transpose(0, 1).contiguous()
        self._parts: dict[int, Prepared] = {}
        self._mask = None if bool(mask.all()) else mask.T.float()
        self._labels = labels
        # To look at single ones in a tensor takes longer than the minima of a tile.
        self._classes = labels.tolist()
        self.nearest = torch.full_like(self._members[..., 0], torch.inf)
        self.furthest = torch.zeros_like(self.nearest)
        self.reach = torch.full_like(self.nearest[0], torch.inf)
        self.point_reach = self.reach.clone()
        self.total = members.new_zeros(())

    def add(self, rows: slice, columns: slice) -> None:
        """Counts the distances of some groups to the same, or to later ones."""
        places = len(self._members)
        squares, least = squared_distances(self._part(rows), self._part(columns))
        tile = squares.view(places, -1, places, columns.stop - columns.start)
        least = least.view(places, -1)
        # Classes ascend.
        if self._classes[rows.start] == self._classes[columns.stop - 1]:
            self._within(tile, rows, columns)
            return
        if self._classes[rows.stop - 1] < self._classes[columns.start]:
            self._sum(tile, rows, columns)
        else:
            same = self._labels[rows, None, None] == self._labels[columns]
            self._within(tile.masked_fill(~same, 0), rows, columns)
            self._sum(tile.masked_fill(same, 0), rows, columns)
            tile.masked_fill_(same, torch.inf)
            least = tile.amin((2, 3))
        _lower(self.nearest[:, rows], least)
        _lower(self.nearest[:, columns], tile.amin((0, 1)))
        if places == 1:
            return
        to_rows, to_columns = tile.amax(0), tile.amax(2)
        _lower(self.point_reach[rows], to_rows.amin((1, 2)))
        _lower(self.point_reach[columns], to_columns.amin((0, 1)))
        apart = to_columns.amax(0)
        _lower(self.reach[rows], apart.amin(1))
        _lower(self.reach[columns], apart.amin(0))

    def _part(self, groups: slice) -> Prepared:
        """Members of some groups, which meet those of many tiles."""
        if groups.start not in self._parts:
            self._parts[groups.start] = prepared(self._members[:, groups].flatten(0, 1))
        return self._parts[groups.start]

    def _within(
        self, squares: Float[Tensor, "places rows points columns"], rows: slice, columns: slice
    ) -> None:
        """Looks at the distances inside classes; others are 0."""
        _raise(self.furthest[:, rows], squares.amax((2, 3)))
        _raise(self.furthest[:, columns], squares.amax((0, 1)))

    def _sum(
        self, squares: Float[Tensor, "places rows points columns"], rows: slice, columns: slice
    ) -> None:
        """Adds the distances of real points; those of groups to the same stand twice in a tile."""
        roots = _roots(squares.float())
        if self._mask is not None:
            roots *= self._mask[:, rows, None, None] * self._mask[:, columns]
        total = roots.sum()
        self.total += total / 2 if rows == columns else total


def _roots(numbers: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """In place; none is negative."""
    if numbers.device != CPU:
        return numbers.sqrt_()
    # torch asks MKL, which takes half as long again on some CPUs.
    np.sqrt(numbers.numpy(), out=numbers.numpy())
    return numbers


def _without_padding(
    embeddings: Float[Tensor, "groups points width"], mask: Bool[Tensor, "groups points"]
) -> Float[Tensor, "groups points width"]:
    """Embeddings with a real point of the group at padded places, which changes no extreme."""
    real = mask.int().argmax(1)
    first = embeddings[torch.arange(len(embeddings), device=real.device), real]
    return torch.where(mask[:, :, None], embeddings, first[:, None])


def tiles(groups: int, points: int) -> Iterator[tuple[slice, slice]]:
    """Ranges of groups, and of the same or later ones, so that each two meet."""
    step = max(1, SIDE // points)
    parts = [slice(start, min(start + step, groups)) for start in range(0, groups, step)]
    for number, rows in enumerate(parts):
        for columns in parts[number:]:
            yield rows, columns


def _points_per_class(
    mask: Bool[Tensor, "groups points"], labels: Int[Tensor, " groups"]
) -> Int[Tensor, " groups"]:
    """Real points in the class of each group."""
    return labels.bincount(mask.sum(1)).long()[labels]


def _lower(kept: Tensor, found: Tensor) -> None:
    torch.minimum(kept, found, out=kept)


def _raise(kept: Tensor, found: Tensor) -> None:
    torch.maximum(kept, found, out=kept)
