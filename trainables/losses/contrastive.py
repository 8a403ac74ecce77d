from typing import Annotated, Any, Literal, final

import torch
from annotated_types import Ge, Gt
from jaxtyping import Bool, Float
from torch import Tensor

from trainables.comparisons import compared
from trainables.contracts import LabelledEmbeddings, Level, Loss, Need, Search, SearchAmong

Average = Literal["active", "all"]


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
        apart, positive, negative = compared(rows)
        margins = (self.positive_margin.to(apart.dtype), self.negative_margin.to(apart.dtype))
        excess = apart - torch.where(positive, *margins)
        too_far, too_near = positive & (excess > 0), negative & (excess < 0)
        # A hinge is its excess or minus it: its weight in the mean is all that is left to find.
        far = self._weight(too_far, positive).to(excess.dtype)
        near = self._weight(too_near, negative).to(excess.dtype)
        weighed = excess * torch.where(too_far, far, torch.where(too_near, -near, 0))
        return weighed.sum()

    def _weight(
        self, active: Bool[Tensor, "rows rows"], pairs: Bool[Tensor, "rows rows"]
    ) -> Float[Tensor, ""]:
        """Of each hinge in the mean of some pairs."""
        counted = active if self.average == "active" else pairs
        return counted.sum().clamp_min(1).double().reciprocal()
