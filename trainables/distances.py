"""Euclidean distances that keep their digits, a tile at a time."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

Distance = Callable[
    [Float[Tensor, "rows width"], Float[Tensor, "columns width"]], Float[Tensor, "rows columns"]
]
"""Of every row to every column; moving all of them by the same vector changes nothing."""
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


def distances(
    rows: Float[Tensor, "rows width"], columns: Float[Tensor, "columns width"]
) -> Float[Tensor, "rows columns"]:
    """Distance of every row to every column, a few times faster, with a relative error of 1e-11.

    Duplicates are at distance exactly 0; other equal distances may differ by the error.
    """
    return squared_distances(rows, columns).sqrt_()


def squared_distances(
    rows: Float[Tensor, "rows width"], columns: Float[Tensor, "columns width"]
) -> Float[Tensor, "rows columns"]:
    """Squares of :func:`distances`.

    Inner products give them, ``|a|^2 + |b|^2 - 2 a.b``; where these cancel, the difference is
    taken. Embeddings whose mean is 0 have few such pairs.
    """
    of_rows, of_columns = (of.square().sum(1, keepdim=True) for of in (rows, columns))
    # As one product, which is faster than to add the squares to one.
    left = torch.cat([-2 * rows, of_rows, torch.ones_like(of_rows)], 1)
    right = torch.cat([columns, torch.ones_like(of_columns), of_columns], 1)
    squares = left @ right.T
    threshold = CLOSE * (of_rows + of_columns.max())
    if bool((squares.amin(1, keepdim=True) > threshold).all()):
        return squares
    row, column = (squares <= threshold).nonzero(as_tuple=True)
    if len(row) > FEW * squares.numel():
        return exact_distances(rows, columns).square_()
    squares[row, column] = (rows[row] - columns[column]).square().sum(1)
    return squares
