"""Euclidean distances to learn from: fast, exact where points coincide, and with a gradient."""

from typing import Any, NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import threshold

FEW = 96
"""Up to so many columns differences are as fast as products."""
COINCIDING = 1e-12
"""Below this, for each coordinate, a squared distance by products is 0; its unit is the largest
coordinate around the mean, or up to twice that."""


def learned_distances(
    rows: Float[Tensor, "rows width"], columns: Float[Tensor, "columns width"] | None = None
) -> Float[Tensor, "rows columns"]:
    """Distance of every row to every column, to be differentiated, stacked and compiled.

    Of many columns from inner products in double precision, several times faster than from
    differences: what is nearer than some millionths of the largest coordinate around the mean
    coincides. Where rows coincide the distance is exactly 0, and so is its gradient.

    Args:
        rows: of a step, or some of them.
        columns: None for the rows themselves, which takes two thirds of the time.
    """
    others = rows if columns is None else columns
    if len(others) <= FEW:
        return torch.cdist(rows, others, compute_mode="donot_use_mm_for_euclid_dist")
    apart: Tensor
    if columns is None:
        apart, _, _ = _Own.apply(rows)  # type: ignore[no-untyped-call]
    else:
        apart = _Learned.apply(rows, columns)  # type: ignore[no-untyped-call]
    return apart


class Centred(NamedTuple):
    """Points around a centre in units of ``scale``, in double precision; their squared lengths."""

    points: Float[Tensor, "points width"]
    lengths: Float[Tensor, " points"]
    scale: Float[Tensor, ""]

    def part(self, rows: slice) -> "Centred":
        """Some of the points."""
        return Centred(self.points[rows], self.lengths[rows], self.scale)


def centred(
    points: Float[Tensor, "points width"], around: Float[Tensor, "columns width"]
) -> Centred:
    """Points around the mean of others, whose largest coordinate is then between 1/2 and 1."""
    others = around.double()
    centre = others.mean(0)
    largest = (others - centre).abs().amax()
    # A power of 2, by which nothing is rounded.
    scale = largest.clamp_min(torch.finfo(torch.float32).tiny).log2().ceil().exp2()
    shown = (points.double() - centre) / scale
    return Centred(shown, shown.square().sum(1), scale)


def product_distances(
    rows: Centred, columns: Centred, dtype: torch.dtype
) -> Float[Tensor, "rows columns"]:
    """Distance of every row to every column around the same centre, without a gradient."""
    squares = torch.addmm(columns.lengths, rows.points, columns.points.T, alpha=-2)
    squares = squares.add_(rows.lengths[:, None]).to(dtype)
    least = COINCIDING * rows.points.shape[1]
    apart: Tensor = threshold(squares, least, 0.0, inplace=True)
    return apart.sqrt_().mul_(rows.scale.to(dtype))


def pulled(
    pull: Float[Tensor, "rows columns"],
    rows: Float[Tensor, "rows width"],
    columns: Float[Tensor, "columns width"],
) -> Float[Tensor, "rows width"]:
    """Of each row, the sum of its differences from the columns, with these weights."""
    return torch.addmm(pull.sum(1, keepdim=True) * rows, pull, columns, alpha=-1)


@final
class _Own(torch.autograd.Function):
    """Distances of rows to themselves; what they are products of is kept for the gradient."""

    generate_vmap_rule = True

    @staticmethod
    def forward(rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        around = centred(rows, rows)
        return product_distances(around, around, rows.dtype), around.points, around.scale

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: tuple[Tensor, ...]) -> None:
        ctx.save_for_backward(*output)
        ctx.mark_non_differentiable(*output[1:])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        apart, points, scale = ctx.saved_tensors
        pull = _pull(gradients[0], apart) * scale
        return pulled(pull + pull.T, points, points).to(apart.dtype)


@final
class _Learned(torch.autograd.Function):
    """Keeps distances for the gradient, which is a product as well."""

    generate_vmap_rule = True

    @staticmethod
    def forward(rows: Tensor, columns: Tensor) -> Tensor:
        return product_distances(centred(rows, columns), centred(columns, columns), rows.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs, output)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        rows, columns, apart = ctx.saved_tensors
        these, those = centred(rows, columns), centred(columns, columns)
        pull = _pull(gradient, apart) * these.scale
        of_rows = pulled(pull, these.points, those.points)
        of_columns = pulled(pull.T, those.points, these.points)
        return of_rows.to(rows.dtype), of_columns.to(columns.dtype)


def _pull(gradient: Float[Tensor, "*pairs"], apart: Float[Tensor, "*pairs"]) -> Tensor:
    """By unit of difference. Rows that coincide do not pull: of 0 / 0 and x / 0 they would."""
    return (gradient / apart).masked_fill_(apart == 0, 0).double()
