"""Sums of hinges over the negatives that are nearer than limits; neither needs a list of them."""

from typing import Any, NamedTuple, final

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import pad

FEW = 48
"""Up to so many limits each is held against all negatives, which is then the fastest."""


class Hinges(NamedTuple):
    """Of each anchor, the sum of ``limit - distance`` over its limits and the negatives below them.

    ``nearer`` tells how many negatives are below each limit, times what the limit counts, and has
    no gradient.
    """

    sums: Float[Tensor, " anchors"]
    nearer: Float[Tensor, "anchors limits"]


def hinges(
    apart: Float[Tensor, "anchors rows"],
    negative: Bool[Tensor, "anchors rows"],
    limits: Float[Tensor, "anchors limits"],
    counts: Float[Tensor, "anchors limits"],
    bars: Float[Tensor, "anchors limits"] | None = None,
) -> Hinges:
    """Sums hinges over anchors, limits and negatives, which together would be a cube.

    Limits and distances are taken as often as they occur, and so are their gradients.

    Args:
        apart: distances.
        negative: of which pairs.
        limits: of each anchor, in any order.
        counts: what each limit counts: 0 for none, -1 for what is taken from another.
        bars: what a negative is below of, where that is not the limit itself.
    """
    given = (apart, negative, limits, counts, limits if bars is None else bars)
    sums, nearer, _ = _Hinges.apply(*given)  # type: ignore[no-untyped-call]
    return Hinges(sums, nearer)


@final
class _Hinges(torch.autograd.Function):
    """Keeps how often each limit and each distance occurs in the sums."""

    @staticmethod
    def forward(
        apart: Tensor, negative: Tensor, limits: Tensor, counts: Tensor, bars: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        count = _each if limits.shape[-1] <= FEW else _in_order
        nearer, above = count(apart, negative, bars, counts)
        return (nearer * limits).sum(-1) - (above * apart).sum(-1), nearer, above

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
        ctx.save_for_backward(*output[1:])
        ctx.mark_non_differentiable(*output[1:])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        nearer, above = ctx.saved_tensors
        gradient = gradients[0][..., None]
        return -gradient * above, None, gradient * nearer, None, None

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], *given: Tensor
    ) -> tuple[tuple[Tensor, ...], int]:
        stacks = (
            one.expand(info.batch_size, *one.shape) if dim is None else one.movedim(dim, 0)
            for one, dim in zip(given, in_dims, strict=True)
        )
        return _Hinges.apply(*stacks), 0  # type: ignore[no-untyped-call]


def _each(
    apart: Float[Tensor, "*stacks anchors rows"],
    negative: Bool[Tensor, "*stacks anchors rows"],
    bars: Float[Tensor, "*stacks anchors limits"],
    counts: Float[Tensor, "*stacks anchors limits"],
) -> tuple[Float[Tensor, "*stacks anchors limits"], Float[Tensor, "*stacks anchors rows"]]:
    """Negatives below each bar, and the count of the bars above each negative, bar by bar."""
    far = apart.masked_fill(~negative, torch.inf)
    is_below, above, nearer = torch.empty_like(far), torch.zeros_like(far), torch.empty_like(bars)
    for limit in range(bars.shape[-1]):
        one = slice(limit, limit + 1)
        torch.lt(far, bars[..., one], out=is_below)
        torch.sum(is_below, -1, keepdim=True, out=nearer[..., one])
        above.addcmul_(is_below, counts[..., one])
    return nearer * counts, above


def _in_order(
    apart: Float[Tensor, "*stacks anchors rows"],
    negative: Bool[Tensor, "*stacks anchors rows"],
    bars: Float[Tensor, "*stacks anchors limits"],
    counts: Float[Tensor, "*stacks anchors limits"],
) -> tuple[Float[Tensor, "*stacks anchors limits"], Float[Tensor, "*stacks anchors rows"]]:
    """The same; bars are put in order, and each distance finds its place among them."""
    ascending, order = bars.sort(-1)
    place = torch.searchsorted(ascending, apart.contiguous(), right=True)
    is_negative = negative.to(apart.dtype)
    first_above = apart.new_zeros(*bars.shape[:-1], bars.shape[-1] + 1)
    nearer = first_above.scatter_add(-1, place, is_negative).cumsum(-1)[..., :-1]
    passed = pad(counts.gather(-1, order), (1, 0)).cumsum(-1)
    above = passed[..., -1:] - passed
    return (
        torch.zeros_like(nearer).scatter(-1, order, nearer) * counts,
        above.gather(-1, place) * is_negative,
    )
