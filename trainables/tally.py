"""Extremes and sum of all distances between labelled points, in one pass over tiles of them."""

from collections.abc import Iterator
from typing import NamedTuple, final

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from trainables.distances import CLOSE, Prepared, prepared, repair

SIDE = 512
"""Points of a tile along each side: its squared distances stay in a core's cache."""

Tile = Float[npt.NDArray[np.float64], "places rows points columns"]
Places = npt.NDArray[np.float64]
"""A number for each place of some groups, or for each group."""
_Space = tuple[Tensor, Tile]
"""The same memory as torch has it, and as a tile."""


class _Part(NamedTuple):
    """Members of some groups, with what would cost time to ask for at every tile."""

    known: Prepared
    right: Float[Tensor, "more members"]
    longest: float


@final
class Tally:
    """Extremes and sum of the distances seen so far, over groups that are ordered by class.

    By place and group: ``nearest`` of another class and ``furthest`` of the own. By group:
    ``reach`` and ``point_reach``, see :class:`trainables.margin.GroupMargin`; of groups of several
    points only. ``total`` is the sum over pairs of points of different classes.

    Extremes are those of squared distances, which need no roots. What follows a product is done by
    numpy, but for minima of rows: there are a dozen calls for each, and those of torch cost more.

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
        self._parts: dict[int, _Part] = {}
        self._spaces: dict[tuple[int, int], _Space] = {}
        self._mask = None if bool(mask.all()) else mask.T.float().numpy()
        self._labels = labels.numpy()
        self._roots = np.empty(0, np.float32)
        self._ones = np.empty(0, np.float32)
        shape = self._members.shape[:2]
        self.nearest = np.full(shape, np.inf)
        self.furthest = np.zeros(shape)
        self.reach = np.full(shape[1], np.inf)
        self.point_reach = self.reach.copy()
        self.total = 0.0

    def add(self, rows: slice, columns: slice) -> None:
        """Counts the distances of some groups to the same, or to later ones."""
        tile, least = self._squares(rows, columns)
        # Classes ascend.
        if self._labels[rows.start] == self._labels[columns.stop - 1]:
            self._within(tile, rows, columns)
            return
        if self._labels[rows.stop - 1] < self._labels[columns.start]:
            self._sum(tile, rows, columns)
        else:
            same = self._labels[rows, None, None] == self._labels[columns]
            self._within(np.where(same, tile, 0.0), rows, columns)
            self._sum(np.where(same, 0.0, tile), rows, columns)
            np.copyto(tile, np.inf, where=same)
            least = _over_columns(np.minimum, tile)
        _lower(self.nearest[:, rows], least)
        _lower(self.nearest[:, columns], _over_rows(np.minimum, tile))
        if len(tile) == 1:
            return
        to_rows, to_columns = tile.max(0), tile.max(2)
        _lower(self.point_reach[rows], to_rows.min((1, 2)))
        _lower(self.point_reach[columns], to_columns.min((0, 1)))
        apart = to_columns.max(0)
        _lower(self.reach[rows], apart.min(1))
        _lower(self.reach[columns], apart.min(0))

    def _squares(self, rows: slice, columns: slice) -> tuple[Tile, Places]:
        """Squared distances as of ``squared_distances``, and the least of each row's members."""
        row, column = self._part(rows), self._part(columns)
        squares, tile = self._space(len(row.known.points), len(column.known.points))
        torch.mm(row.known.left, column.right, out=squares)
        # Of a whole tile torch takes the minima of rows in half the time of numpy.
        least = squares.amin(1).numpy()
        if least.min() <= CLOSE * (row.longest + column.longest):
            threshold = CLOSE * (row.known.lengths + column.longest)
            repair(squares, row.known, column.known, threshold)
            least = squares.amin(1).numpy()
        return tile, least.reshape(len(tile), -1)

    def _part(self, groups: slice) -> _Part:
        """Members of some groups, which meet those of many tiles."""
        if groups.start not in self._parts:
            known = prepared(self._members[:, groups].flatten(0, 1))
            self._parts[groups.start] = _Part(known, known.right.T, known.longest.item())
        return self._parts[groups.start]

    def _space(self, rows: int, columns: int) -> _Space:
        """Memory that one tile leaves to the next of its shape."""
        if (rows, columns) not in self._spaces:
            squares, places = self._members.new_empty(rows, columns), len(self._members)
            tile = squares.numpy().reshape(places, rows // places, places, columns // places)
            self._spaces[rows, columns] = squares, tile
        return self._spaces[rows, columns]

    def _within(self, squares: Tile, rows: slice, columns: slice) -> None:
        """Looks at the distances inside classes; others are 0."""
        _raise(self.furthest[:, rows], _over_columns(np.maximum, squares))
        _raise(self.furthest[:, columns], _over_rows(np.maximum, squares))

    def _sum(self, squares: Tile, rows: slice, columns: slice) -> None:
        """Adds the distances of real points; those of groups to the same stand twice in a tile."""
        if self._roots.shape != squares.shape:
            self._roots = np.empty(squares.shape, np.float32)
            self._ones = np.ones(squares.shape[2] * squares.shape[3], np.float32)
        roots = self._roots
        np.copyto(roots, squares, casting="same_kind")
        np.sqrt(roots, out=roots)
        if self._mask is not None:
            roots *= self._mask[:, rows, None, None] * self._mask[:, columns]
        # A product with ones sums in half the time.
        sums = roots.reshape(-1, len(self._ones)) @ self._ones
        total = float(sums.sum(dtype=np.float64))
        self.total += total / 2 if rows == columns else total


def tiles(groups: int, points: int) -> Iterator[tuple[slice, slice]]:
    """Ranges of groups, and of the same or later ones, so that each two meet."""
    step = max(1, SIDE // points)
    parts = [slice(start, min(start + step, groups)) for start in range(0, groups, step)]
    for number, rows in enumerate(parts):
        for columns in parts[number:]:
            yield rows, columns


def _over_columns(extreme: np.ufunc, tile: Tile) -> Places:
    found: Places = extreme.reduce(tile.reshape(*tile.shape[:2], -1), 2)
    return found


def _over_rows(extreme: np.ufunc, tile: Tile) -> Places:
    found: Places = extreme.reduce(tile.reshape(-1, *tile.shape[2:]), 0)
    return found


def _lower(kept: Places, found: Places) -> None:
    np.minimum(kept, found, out=kept)


def _raise(kept: Places, found: Places) -> None:
    np.maximum(kept, found, out=kept)
