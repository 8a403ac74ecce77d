"""Euclidean distances that keep their digits, a tile at a time."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

Distance = Callable[
    [Float[Tensor, "rows width"], Float[Tensor, "columns width"]], Float[Tensor, "rows columns"]
]
"""Of every row to every column; moving all of them by the same vector changes nothing."""
Tile = Callable[[slice, slice], Float[Tensor, "rows columns"]]
"""Of some rows to others."""
TILE = 2**21
"""Most distances held at once, where one row of them is not longer."""
CLOSE = 1e-4
"""Below this share of the largest squared lengths, a squared distance may have lost digits."""
FEW = 1 / 16
"""Up to this share of close pairs, repairing each is faster than taking differences for all."""


def exact_distances(
    rows: Float[Tensor, "rows width"], columns: Float[Tensor, "columns width"]
) -> Float[Tensor, "rows columns"]:
    """Distance of every row to every column, from their difference.

    Duplicates are at distance exactly 0, and a distance depends neither on the order of the pair
    nor on the tile it is computed in: equal distances are equal.
    """
    return torch.cdist(rows, columns, compute_mode="donot_use_mm_for_euclid_dist")


class Prepared(NamedTuple):
    """Points, with what their squared distances are products of: as rows, and as columns."""

    points: Float[Tensor, "points width"]
    lengths: Float[Tensor, " points"]
    longest: Float[Tensor, ""]
    left: Float[Tensor, "points more"]
    right: Float[Tensor, "points more"]

    def part(self, places: slice) -> "Prepared":
        """Some of the points, of which none is longer than the longest of all."""
        return Prepared(
            self.points[places],
            self.lengths[places],
            self.longest,
            self.left[places],
            self.right[places],
        )


def prepared(points: Float[Tensor, "points width"]) -> Prepared:
    """What is the same of points for all tiles, so that a tile is one product and no sum."""
    lengths = points.square().sum(1)
    length, one = lengths[:, None], torch.ones_like(lengths)[:, None]
    left, right = torch.cat([-2 * points, length, one], 1), torch.cat([points, one, length], 1)
    return Prepared(points, lengths, lengths.max(), left, right)


class Squares(NamedTuple):
    """Squares of distances, and the least of each row."""

    squares: Float[Tensor, "rows columns"]
    least: Float[Tensor, " rows"]


def squared_distances(rows: Prepared, columns: Prepared) -> Squares:
    """Squared distance of every row to every column, with a relative error of 2e-11.

    Inner products give them, ``|a|^2 + |b|^2 - 2 a.b``; where these cancel, the difference is
    taken. Embeddings whose mean is 0 have few such pairs. Duplicates are at exactly 0; other equal
    distances may differ by the error.
    """
    squares = rows.left @ columns.right.T
    least = squares.amin(1)
    threshold = CLOSE * (rows.lengths + columns.longest)
    if bool((least > threshold).all()):
        return Squares(squares, least)
    repair(squares, rows, columns, threshold)
    return Squares(squares, squares.amin(1))


def repair(
    squares: Float[Tensor, "rows columns"],
    rows: Prepared,
    columns: Prepared,
    threshold: Float[Tensor, " rows"],
) -> None:
    """Puts squares of differences, in place, where products of a row are not above a threshold."""
    row, column = (squares <= threshold[:, None]).nonzero(as_tuple=True)
    if len(row) > FEW * squares.numel():
        squares.copy_(exact_distances(rows.points, columns.points).square_())
    else:
        squares[row, column] = (rows.points[row] - columns.points[column]).square().sum(1)


def comparable_distances(
    embeddings: Float[Tensor, "rows width"], distance: Distance | None = None
) -> Tile:
    """What orders pairs of rows as their distances do, a tile at a time.

    Args:
        embeddings: their mean is about 0, see :func:`squared_distances`.
        distance: what tiles then hold. By itself they hold squares of Euclidean distances: roots
            would take time and change no order.
    """
    if distance is not None:
        return lambda rows, columns: distance(embeddings[rows], embeddings[columns])
    known = prepared(embeddings)
    return lambda rows, columns: squared_distances(known.part(rows), known.part(columns)).squares
