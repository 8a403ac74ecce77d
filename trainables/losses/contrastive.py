from typing import Annotated, Any, Literal, NamedTuple, final

import torch
from annotated_types import Ge, Gt
from jaxtyping import Float, Int
from torch import Tensor

from trainables.contracts import LabelledEmbeddings, Level, Loss, Need, Search, SearchAmong
from trainables.learned_distances import (
    FEW,
    Centred,
    centred,
    learned_distances,
    product_distances,
    pulled,
)

Average = Literal["active", "all"]
NEAREST = 1e-6
"""Rows nearer than this coincide, in units of the largest coordinate around the mean."""
TILE = 2**17
"""Most pairs that are looked at together: what there is of them stays in a core's cache."""


@final
class ContrastiveLoss(Loss):
    """Hinges on pairs that are far apart in one class, or near each other in two.

    A pair of one class costs ``[d - positive_margin]_+`` and a pair of two ``[negative_margin -
    d]_+``: Hadsell, Chopra and LeCun (2006), eq. 4, without the squares and with a margin for the
    pairs of one class as well. The loss is the mean over the ordered pairs of one class plus the
    mean over those of two; without such pairs, a mean is 0. A loss of 0 says that the margin ``m*``
    is at most ``positive_margin - negative_margin``.

    Args:
        level: which embeddings are compared; ``both`` takes the mean of the two losses.
        positive_margin: up to this distance a pair of one class costs nothing; in embedding units,
            below ``negative_margin``.
        negative_margin: from this distance on a pair of two classes costs nothing; in embedding
            units.
        average: over the ``active`` pairs, those with a positive hinge, or over ``all``.
    """

    positive_margin: Tensor
    negative_margin: Tensor

    def __init__(
        self,
        *,
        level: Annotated[Level, SearchAmong("groups", "both")] = "groups",
        positive_margin: Annotated[float, Ge(0), Search(0.0, 0.2)] = 0.0,
        negative_margin: Annotated[float, Gt(0), Search(0.3, 1.5, log=True)] = 1.0,
        average: Average = "active",
    ) -> None:
        super().__init__(level)
        self.average: Average = average
        self.register_buffer("positive_margin", torch.tensor(positive_margin, dtype=torch.float64))
        self.register_buffer("negative_margin", torch.tensor(negative_margin, dtype=torch.float64))

    @classmethod
    def needs(cls, options: dict[str, Any]) -> frozenset[Need]:
        return frozenset(["positives"])

    @classmethod
    def check(cls, *, positive_margin: float, negative_margin: float, **others: Any) -> list[str]:
        """Rules across options."""
        if positive_margin < negative_margin:
            return []
        return [
            f"positive_margin: must be below negative_margin, got {positive_margin} and "
            f"{negative_margin}"
        ]

    def compare(self, rows: LabelledEmbeddings) -> Float[Tensor, ""]:
        margins = (self.positive_margin, self.negative_margin)
        hinges: tuple[Tensor, Tensor] = _Hinges.apply(  # type: ignore[no-untyped-call]
            rows.embeddings, rows.labels, *margins, self.average == "active"
        )
        return hinges[0]


class _Hinged(NamedTuple):
    """Hinges of a tile of pairs: their sum, how many the mean is over, and their pull on rows."""

    total: Float[Tensor, ""]
    number: Float[Tensor, ""]
    pull: Float[Tensor, "tile width"]


@final
class _Hinges(torch.autograd.Function):
    """Sum of the two means, with its gradient, from one look at every pair, a tile at a time.

    Pairs are ordered, so the gradient by a row is twice that by it as the first of its pairs.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(
        rows: Float[Tensor, "rows width"],
        labels: Int[Tensor, " rows"],
        positive_margin: Float[Tensor, ""],
        negative_margin: Float[Tensor, ""],
        is_of_active: bool,
    ) -> tuple[Float[Tensor, ""], Float[Tensor, "rows width"]]:
        upto, beyond = positive_margin.to(rows.dtype), negative_margin.to(rows.dtype)
        around, step = centred(rows, rows), max(1, TILE // len(rows))
        points = around.points.to(rows.dtype)
        far: list[_Hinged] = []
        near: list[_Hinged] = []
        for start in range(0, len(rows), step):
            these = slice(start, start + step)
            apart = _distances(rows, around, these)
            # Rows that coincide do not pull.
            inverse = apart.reciprocal().nan_to_num_(0, 0, 0)
            # As numbers, which are multiplied faster than truth values.
            positive = (labels[these, None] == labels).to(rows.dtype)
            negative = 1 - positive
            positive.diagonal(start).zero_()
            for kind, excess, pairs in (
                (far, apart - upto, positive),
                (near, beyond - apart, negative),
            ):
                hinges = excess.mul_(pairs).relu_()
                active = hinges.sign()
                number = (active if is_of_active else pairs).sum()
                pull = pulled(active.mul_(inverse), points[these], points)
                kind.append(_Hinged(hinges.sum(), number, pull))
        (of_far, pull), (of_near, push) = _mean(far), _mean(near)
        return of_far + of_near, 2 * around.scale.to(rows.dtype) * (pull - push)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        ctx.save_for_backward(output[1])
        ctx.mark_non_differentiable(output[1])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (of_rows,) = ctx.saved_tensors
        return gradients[0] * of_rows, None, None, None, None


def _distances(
    rows: Float[Tensor, "rows width"], around: Centred, these: slice
) -> Float[Tensor, "tile rows"]:
    """Of some rows to all, from what has been prepared of many; 0 where they all but coincide.

    The pull of nearer rows would be the rounding of their difference.
    """
    if len(rows) > FEW:
        return product_distances(around.part(these), around, rows.dtype)
    apart = learned_distances(rows[these], rows)
    return apart * (apart > NEAREST * around.scale)


def _mean(tiles: list[_Hinged]) -> tuple[Float[Tensor, ""], Float[Tensor, "rows width"]]:
    """The mean of the hinges of all tiles, and its pull on the rows."""
    totals, numbers, pulls = zip(*tiles, strict=True)
    share = torch.stack(numbers).sum().clamp_min(1).reciprocal()
    return torch.stack(totals).sum() * share, torch.cat(pulls) * share
