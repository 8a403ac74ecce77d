from typing import Annotated, Any, Literal, final

import torch
from annotated_types import Gt, Le
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import relu

from trainables.comparisons import EVERY, compared, to_positives
from trainables.contracts import LabelledEmbeddings, Level, Loss, Need, Search, SearchAmong
from trainables.hinges import hinges

Form = Literal["t8", "t9"]


@final
class BoundLoss(Loss):
    """The bounds T8 or T9 on the distance of rows of one class, as a share of their reach ``R``.

    ``1 - margin + mean [d(i, j) - u + margin R]_+ / R`` over the pairs i, j of one class, where
    ``R = mean u``; the bounds are those of ``trainables.hinge_bounds``, at ``t = -margin R``:

    - ``t8``: ``u = d(i, n)``, with the mean over all rows n of other classes: a triplet loss;
    - ``t9``: ``u = min(delta_i, delta_j)``, with delta the distance to the nearest of them.

    As ``[x]_+ >= x``, the loss is at least ``mean d(i, j) / R``. So it is above the mean distance
    of two groups over ``R``: of the rows themselves where they are groups, and of the means of
    disjoint groups of points drawn at random, where classes have equal sizes. ``R`` is at most
    their mean distance to other classes, the scale of the relative gaps.

    Over that scale T9 would vanish where classes lie on each other two by two: nothing in a bound
    moves them apart. Over its own reach it is at least ``1 - margin``, and that only where every
    triplet keeps the margin: ``m* <= -margin R``. Multiplying all rows changes nothing, and the
    gradient is orthogonal to the embeddings. Rows that all coincide cost 1.

    Args:
        level: which embeddings are compared; ``both`` takes the mean of the two losses.
        form: which bound.
        margin: as a share of the reach; more of it brings the bound nearer to the distances.
    """

    margin: Tensor

    def __init__(
        self,
        *,
        level: Annotated[Level, SearchAmong("groups", "both")] = "groups",
        form: Form = "t9",
        margin: Annotated[float, Gt(0), Le(1), Search(0.1, 0.9)] = 0.5,
    ) -> None:
        super().__init__(level)
        self.form: Form = form
        self.register_buffer("margin", torch.tensor(margin, dtype=torch.float64))

    @classmethod
    def needs(cls, options: dict[str, Any]) -> frozenset[Need]:
        return frozenset(["positives"])

    def compare(self, rows: LabelledEmbeddings) -> Float[Tensor, ""]:
        apart, positive, negative = compared(rows)
        pairs = positive.sum().clamp_min(1)
        margin = self.margin.to(apart.dtype)
        u = _nearest(apart, negative) if self.form == "t9" else _mean(apart, negative)
        reach = ((u * positive).sum() / pairs).maximum(_least(apart))
        if self.form == "t9":
            excess = relu(apart - u + margin * reach) * positive
        else:
            to_positive, exists = to_positives(rows, EVERY, apart, positive)
            excess = _mean_hinges(to_positive + margin * reach, exists, apart, negative)
        bound = 1 - margin + excess.sum() / pairs / reach
        return bound * (positive.any() & negative.any())


def _least(apart: Float[Tensor, "rows rows"]) -> Float[Tensor, ""]:
    """What a reach of 0 counts as: the rounding of the largest distance."""
    limits = torch.finfo(apart.dtype)
    return apart.detach().amax() * limits.eps + limits.tiny


def _nearest(
    apart: Float[Tensor, "rows rows"], negative: Bool[Tensor, "rows rows"]
) -> Float[Tensor, "rows rows"]:
    """The distance that either row of a pair has to its nearest negative; 0 without any."""
    delta = apart.masked_fill(~negative, torch.inf).amin(1).masked_fill(~negative.any(1), 0)
    return torch.minimum(delta[:, None], delta)


def _mean(
    apart: Float[Tensor, "rows rows"], negative: Bool[Tensor, "rows rows"]
) -> Float[Tensor, "rows 1"]:
    """The mean distance of a row to its negatives; 0 without any."""
    count = negative.sum(1, keepdim=True).clamp_min(1)
    return (apart * negative).sum(1, keepdim=True) / count


def _mean_hinges(
    limit: Float[Tensor, "rows positives"],
    exists: Bool[Tensor, "rows positives"],
    apart: Float[Tensor, "rows rows"],
    negative: Bool[Tensor, "rows rows"],
) -> Float[Tensor, " rows"]:
    """The mean of ``[limit - d(i, n)]_+`` over the negatives n of row i, summed over its limits."""
    sums = hinges(apart, negative, limit, exists.to(apart.dtype)).sums
    return sums / negative.sum(1).clamp_min(1)
