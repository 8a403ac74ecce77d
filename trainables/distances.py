"""Euclidean distances that keep their digits, a tile at a time."""

import torch
from jaxtyping import Float
from torch import Tensor

TILE = 2**20
"""Most distances held at once, where one row of them is not longer."""


def distances(
    rows: Float[Tensor, "rows width"], columns: Float[Tensor, "columns width"]
) -> Float[Tensor, "rows columns"]:
    """Distance of every row to every column.

    Computed from differences, never from inner products, whose cancellation would cost half of the
    digits of small distances: duplicates are at distance exactly 0, the order of a pair does not
    matter, and a distance does not depend on the tile it is computed in.
    """
    return torch.cdist(rows, columns, compute_mode="donot_use_mm_for_euclid_dist")
