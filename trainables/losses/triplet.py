from typing import Annotated, Any, Literal, final

import torch
from annotated_types import Ge
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import relu, softplus

from trainables.comparisons import EVERY, compared, summed_in_tiles, to_positives
from trainables.contracts import LabelledEmbeddings, Level, Loss, Need, Search, SearchAmong
from trainables.hinges import hinges

Mining = Literal["all", "semi_hard", "hard"]
Average = Literal["active", "all"]
Hinge = Literal["relu", "softplus"]


@final
class TripletLoss(Loss):
    """Hinge on triplets: ``[d(a, p) - d(a, n) + margin]_+`` for anchor, positive and negative.

    Schroff, Kalenichenko and Philbin (2015), "FaceNet", eq. 2, with plain Euclidean distances as
    in Hermans, Beyer and Leibe (2017), eq. 2. A loss of 0 over all triplets says that the margin
    ``m*`` is at most ``-margin``. Time is ``n^2 log p`` for ``n`` rows of ``p`` positives:
    no triplet is listed, negatives are counted that are nearer than a positive.

    Of more than 256 rows a tile of anchors is looked at at a time, so that memory grows with ``n``.

    Unless mining is ``hard``, a softplus needs the triplets, of many rows those of a tile; and
    swapped distances all of them at once: up to 24 bytes for each in single precision, 0.8 GB at
    320 rows.

    Args:
        level: which embeddings are compared; ``both`` takes the mean of the two losses.
        margin: in embedding units.
        mining: ``all`` triplets; ``semi_hard`` ones, whose negative is further than the positive by
            less than the margin; ``hard`` takes, for each anchor, its furthest positive and nearest
            negative.
        average: over the ``active`` triplets, those with a positive hinge, or over ``all`` mined.
        hinge: ``relu`` is ``[x]_+``; ``softplus`` takes ``log(1 + exp(x))`` in its place (Hermans
            et al.), every mined triplet is active, and the margin may be 0 unless mining is
            ``semi_hard``.
        swap: in a mined triplet ``min(d(a, n), d(p, n))`` takes the place of ``d(a, n)`` (Balntas,
            Riba, Ponsa and Mikolajczyk 2016, "in-triplet hard negative mining").
    """

    margin: Tensor

    def __init__(
        self,
        *,
        level: Annotated[Level, SearchAmong("groups", "both")] = "groups",
        margin: Annotated[float, Ge(0), Search(0.05, 0.5, log=True)] = 0.2,
        mining: Annotated[Mining, SearchAmong("all", "semi_hard", "hard")] = "all",
        average: Average = "active",
        hinge: Hinge = "relu",
        swap: bool = False,
    ) -> None:
        super().__init__(level)
        self.mining: Mining = mining
        self.average: Average = average
        self.hinge: Hinge = hinge
        self.swap = swap
        self.register_buffer("margin", torch.tensor(margin, dtype=torch.float64))

    @classmethod
    def needs(cls, options: dict[str, Any]) -> frozenset[Need]:
        return frozenset(["positives"])

    @classmethod
    def check(cls, *, margin: float, hinge: Hinge, mining: Mining, **others: Any) -> list[str]:
        """Rules across options."""
        if margin == 0 and (hinge == "relu" or mining == "semi_hard"):
            return ["margin: must be above 0 where hinge is relu or mining is semi_hard, got 0"]
        return []

    def compare(self, rows: LabelledEmbeddings) -> Float[Tensor, ""]:
        if self.swap:
            # What a positive is from a negative is asked for too.
            total, active, count = self._sums(rows, EVERY)
        else:
            total, active, count = summed_in_tiles(self._sums, rows)
        return total / (active if self.average == "active" else count).clamp_min(1)

    def _sums(self, rows: LabelledEmbeddings, anchors: slice) -> tuple[Tensor, Tensor, Tensor]:
        """Sum of the hinges of mined triplets of some anchors; how many are active, and mined."""
        if self.mining == "hard":
            mined = self._hardest
        else:
            mined = self._each if self.swap or self.hinge == "softplus" else self._counted
        apart, positive, negative = compared(rows, anchors)
        if not self.swap:
            positives = to_positives(rows, anchors, apart, positive)
        else:
            positives = (apart, positive)
        return mined(apart, negative, *positives)

    def _hinges(self, excess: Float[Tensor, "*triplets"]) -> Float[Tensor, "*triplets"]:
        """Of triplets, by how much ``d(a, p)`` exceeds ``d(a, n)``."""
        return (relu if self.hinge == "relu" else softplus)(excess + self.margin)

    def _hardest(
        self,
        apart: Float[Tensor, "anchors rows"],
        negative: Bool[Tensor, "anchors rows"],
        to_positive: Float[Tensor, "anchors positives"],
        positive: Bool[Tensor, "anchors positives"],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Sum of the hinges of each anchor's hardest triplet, and how many are active and exist."""
        positives = to_positive.masked_fill(~positive, 0)
        negatives = apart.masked_fill(~negative, torch.inf)
        nearest = negatives.amin(1)
        if self.swap:
            nearest = nearest.minimum(apart[positives.argmax(1), negatives.argmin(1)])
        exists = positive.any(1) & negative.any(1)
        hinges = self._hinges(positives.amax(1) - nearest) * exists
        return hinges.sum(), (hinges > 0).sum(), exists.sum()

    def _each(
        self,
        apart: Float[Tensor, "anchors rows"],
        negative: Bool[Tensor, "anchors rows"],
        to_positive: Float[Tensor, "anchors positives"],
        positive: Bool[Tensor, "anchors positives"],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The same as :meth:`_counted`, from a cube of anchors, positives and negatives."""
        to_positive, to_negative = to_positive[:, :, None], apart[:, None]
        mined = positive[:, :, None] & negative[:, None]
        if self.mining == "semi_hard":
            further = to_negative > to_positive
            mined = mined & further & (to_negative < to_positive + self.margin)
        if self.swap:
            to_negative = to_negative.minimum(apart)
        hinges = self._hinges(to_positive - to_negative) * mined
        return hinges.sum(), (hinges > 0).sum(), mined.sum()

    def _counted(
        self,
        apart: Float[Tensor, "anchors rows"],
        negative: Bool[Tensor, "anchors rows"],
        to_positive: Float[Tensor, "anchors positives"],
        positive: Bool[Tensor, "anchors positives"],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Sum of all (or all semi-hard) hinges, and how many triplets are active and mined.

        The active negatives of anchor and positive are those nearer than ``d(a, p) + margin``.
        """
        limit, counts = to_positive + self.margin, positive.to(apart.dtype)
        if self.mining == "semi_hard":
            # A negative at the very distance of the positive is not further than that.
            further = torch.nextafter(to_positive.detach(), limit.new_tensor(torch.inf))
            bars = torch.cat([limit, further], 1)
            limit, counts = torch.cat([limit, limit], 1), torch.cat([counts, -counts], 1)
            found = hinges(apart, negative, limit, counts, bars)
            mined = active = found.nearer.sum()
        else:
            found = hinges(apart, negative, limit, counts)
            active = found.nearer.sum()
            mined = (negative.sum(1) * positive.sum(1)).sum()
        return found.sums.sum(), active, mined
