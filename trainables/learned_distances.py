"""Euclidean distances to learn from: fast, exact where points coincide, and with a gradient."""

from typing import Any, NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import threshold

FEW, FEW_STACKED = 96, 48
"""Up to so many columns differences are as fast as products, alone and stacked."""
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
    apart: Tensor
    if columns is None:
        is_few = len(rows) <= FEW
        apart = _Few.apply(rows) if is_few else _Own.apply(rows)[0]  # type: ignore[no-untyped-call]
    elif len(columns) <= FEW:
        apart = _differences(rows, columns)
    else:
        apart = _Learned.apply(rows, columns)  # type: ignore[no-untyped-call]
    return apart


class Centred(NamedTuple):
    """Points around a centre in units of ``scale``, in double precision.

    A product of ``left`` and ``right`` is a squared distance.
    """

    points: Float[Tensor, "*stacks points width"]
    left: Float[Tensor, "*stacks points more"]
    right: Float[Tensor, "*stacks points more"]
    scale: Float[Tensor, "*stacks 1 1"]

    def part(self, rows: slice) -> "Centred":
        """Some of the points."""
        return Centred(self.points[rows], self.left[rows], self.right[rows], self.scale)


def centred(
    points: Float[Tensor, "*stacks points width"], around: Float[Tensor, "*stacks columns width"]
) -> Centred:
    """Points around the mean of others, whose largest coordinate is then between 1/2 and 1."""
    others = around.double()
    centre = others.mean(-2, keepdim=True)
    largest = (others - centre).abs().amax((-2, -1), keepdim=True)
    # A power of 2, by which nothing is rounded.
    scale = largest.clamp_min(torch.finfo(torch.float32).tiny).log2().ceil().exp2()
    shown = (points.double() - centre) / scale
    length = shown.square().sum(-1, keepdim=True)
    one = torch.ones_like(length)
    left, right = torch.cat([-2 * shown, length, one], -1), torch.cat([shown, one, length], -1)
    return Centred(shown, left, right, scale)


def product_distances(
    rows: Centred, columns: Centred, dtype: torch.dtype
) -> Float[Tensor, "*stacks rows columns"]:
    """Distance of every row to every column around the same centre, without a gradient."""
    squares = (rows.left @ columns.right.mT).to(dtype)
    least = COINCIDING * rows.points.shape[-1]
    apart: Tensor = threshold(squares, least, 0.0, inplace=True)
    return apart.sqrt_().mul_(rows.scale.to(dtype))


def pulled(
    pull: Float[Tensor, "*stacks rows columns"],
    rows: Float[Tensor, "*stacks rows width"],
    columns: Float[Tensor, "*stacks columns width"],
) -> Float[Tensor, "*stacks rows width"]:
    """Of each row, the sum of its differences from the columns, with these weights."""
    return pull.sum(-1, keepdim=True) * rows - pull @ columns


@final
class _Few(torch.autograd.Function):
    """Distances of few rows to themselves: by differences, unless stacks of them are many."""

    @staticmethod
    def forward(rows: Tensor) -> Tensor:
        return _differences(rows, rows)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs, output)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        rows, apart = ctx.saved_tensors
        # Both sides at once, of which torch by itself differentiates one after the other.
        both = gradient + gradient.mT
        found: Tensor = torch.ops.aten._cdist_backward(both, rows, rows, 2.0, apart)
        return found

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int], rows: Tensor) -> tuple[Tensor, int]:
        stacks = rows.movedim(in_dims[0], 0)
        if stacks.shape[-2] <= FEW_STACKED:
            return _differences(stacks, stacks), 0
        apart: Tensor = _Own.apply(stacks)[0]  # type: ignore[no-untyped-call]
        return apart, 0


@final
class _Own(torch.autograd.Function):
    """Distances of rows to themselves; what they are products of is kept for the gradient."""

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
        pull = _pull(gradients[0] + gradients[0].mT, apart)
        found: Tensor = scale * pulled(pull, points, points)
        return found.to(apart.dtype)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int], rows: Tensor) -> tuple[tuple[Tensor, ...], int]:
        return _Own.apply(rows.movedim(in_dims[0], 0)), 0  # type: ignore[no-untyped-call]


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
        pull = _pull(gradient, apart)
        of_rows = these.scale * pulled(pull, these.points, those.points)
        of_columns = these.scale * pulled(pull.mT, those.points, these.points)
        return of_rows.to(rows.dtype), of_columns.to(columns.dtype)


def _differences(rows: Tensor, columns: Tensor) -> Tensor:
    return torch.cdist(rows, columns, compute_mode="donot_use_mm_for_euclid_dist")


def _pull(
    gradient: Float[Tensor, "*stacks rows columns"], apart: Float[Tensor, "*stacks rows columns"]
) -> Float[Tensor, "*stacks rows columns"]:
    """By unit of difference. Rows that coincide do not pull: of 0 / 0 and x / 0 they would."""
    return (gradient / apart).masked_fill_(apart == 0, 0).double()
