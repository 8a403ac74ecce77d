"""Euclidean distances to learn from: fast, exact where points coincide, and with a gradient."""

from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor

FEW = 128
"""Up to so many columns differences are as fast as products."""
COINCIDING = 1e-12
"""Below this share of the largest squared length, a squared distance by products is 0."""


def learned_distances(
    rows: Float[Tensor, "rows width"], columns: Float[Tensor, "columns width"]
) -> Float[Tensor, "rows columns"]:
    """Distance of every row to every column, to be differentiated, stacked and compiled.

    Of many columns from inner products in double precision, several times faster than from
    differences: what is nearer than a millionth of the largest distance to the mean coincides.
    Where rows coincide the distance is exactly 0, and so is its gradient.
    """
    if len(columns) <= FEW:
        return torch.cdist(rows, columns, compute_mode="donot_use_mm_for_euclid_dist")
    apart: Tensor = _Learned.apply(rows, columns)  # type: ignore[no-untyped-call]
    return apart


@final
class _Learned(torch.autograd.Function):
    """Keeps distances for the gradient, which is a product as well."""

    generate_vmap_rule = True

    @staticmethod
    def forward(rows: Tensor, columns: Tensor) -> Tensor:
        these, those = _centred(rows, columns)
        of_rows, of_columns = these.square().sum(1), those.square().sum(1)
        squares = torch.addmm(of_columns, these, those.T, alpha=-2).add_(of_rows[:, None])
        coincides = squares <= COINCIDING * of_columns.amax()
        return squares.masked_fill_(coincides, 0).sqrt_().to(rows.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs, output)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        rows, columns, apart = ctx.saved_tensors
        these, those = _centred(rows, columns)
        pull = (gradient / apart).masked_fill_(apart == 0, 0).to(these.dtype)
        of_rows, of_columns = _pulled(pull, these, those), _pulled(pull.T, those, these)
        return of_rows.to(rows.dtype), of_columns.to(columns.dtype)


def _pulled(pull: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Of each row, the sum of its differences from the columns, with these weights."""
    return torch.addmm(pull.sum(1, keepdim=True) * rows, pull, columns, alpha=-1)


def _centred(rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
    """In double precision, around the mean of the columns."""
    those = columns.double()
    centre = those.mean(0)
    return rows.double() - centre, those - centre
