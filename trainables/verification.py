"""How well a distance tells whether two embeddings are of one class."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from trainables.distances import Distance, comparable_distances, exact_distances

EXACT_PAIRS = 2**20
"""Up to this many pairs are sorted; more are counted in bins."""
DROPPED_BITS = 11
"""Bins keep the upper 12 of the 23 bits of a float's mantissa: 0.02 % of a value."""
BINS = 2 ** (31 - DROPPED_BITS)
BINNED = 2**22
"""Distances binned at once; fewer would spend their time on empty bins."""


class Verification(NamedTuple):
    """Deciding by distance whether pairs are of one class; NaN without both kinds of pairs.

    ``auc`` is the probability that a pair of one class is nearer than a pair of different classes,
    ties counting half: 1 is perfect, 0.5 is chance. ``eer`` is the error rate at the threshold
    where as many same-class pairs are refused as different-class pairs are accepted, on the
    straight lines between the points of the ROC curve: 0 is perfect.
    """

    auc: float
    eer: float


def verification(
    embeddings: Float[Tensor, "rows width"],
    labels: Int[Tensor, " rows"],
    exact_pairs: int = EXACT_PAIRS,
    distance: Distance | None = None,
) -> Verification:
    """Verifies all pairs, each once, with the negative distance as score.

    Args:
        embeddings: what is compared.
        labels: class indices.
        exact_pairs: up to this many pairs the result is exact; beyond, distances (of Euclidean ones
            the squares) within the same ``2**-12`` of a power of two count as equal, in memory that
            no longer grows with the pairs. That moves ``auc`` by at most half the share of (same,
            different) pairs of pairs in one bin, in practice less than 1e-5.
        distance: what tells how far pairs are apart; Euclidean by itself.
    """
    pairs = len(labels) * (len(labels) - 1) // 2
    if pairs == 0 or not bool(embeddings.isfinite().all()):
        return Verification(torch.nan, torch.nan)
    if pairs <= exact_pairs:
        counts = _counted_exactly(embeddings.double(), labels, distance or exact_distances)
    else:
        counts = _counted_in_bins(embeddings.double(), labels, distance)
    return _from_counts(*counts)


def _from_counts(
    same: Int[Tensor, " distances"], different: Int[Tensor, " distances"]
) -> Verification:
    """The metrics from the numbers of pairs up to each distance, ascending."""
    if not (same[-1] and different[-1]):
        return Verification(torch.nan, torch.nan)
    begin = same.new_zeros(1)
    accepted = torch.cat([begin, same]) / same[-1].double()
    false = torch.cat([begin, different]) / different[-1].double()
    auc = torch.trapezoid(accepted, false)
    # Errors are equal where accepted + false = 1; that sum rises from 0 to 2 along the curve.
    total = accepted + false
    after = int((total < 1).sum())
    share = (1 - total[after - 1]) / (total[after] - total[after - 1])
    eer = torch.lerp(false[after - 1], false[after], share)
    return Verification(auc.item(), eer.item())


Counts = tuple[Int[Tensor, " distances"], Int[Tensor, " distances"]]


def _counted_exactly(
    embeddings: Float[Tensor, "rows width"], labels: Int[Tensor, " rows"], distance: Distance
) -> Counts:
    apart, classes = distance(embeddings, embeddings).cpu().numpy(), labels.cpu().numpy()
    pair = ~np.tri(len(classes), dtype=bool)
    is_same = classes[:, None] == classes
    # Values alone, without their places, are sorted several times faster.
    same, different = (np.sort(apart[kind]) for kind in (is_same & pair, pair & ~is_same))
    # Between distances of one class the curve is straight: what lies there need not be listed.
    before, upto = (
        np.stack([np.searchsorted(kind, same, side) for kind in (same, different)])
        for side in ("left", "right")
    )
    ends = np.array([[len(same)], [len(different)]])
    counts = torch.from_numpy(np.hstack([np.dstack([before, upto]).reshape(2, -1), ends]))
    return counts[0], counts[1]


def _counted_in_bins(
    embeddings: Float[Tensor, "rows width"], labels: Int[Tensor, " rows"], distance: Distance | None
) -> Counts:
    order = labels.argsort(stable=True)
    embeddings, labels = embeddings[order] - embeddings.mean(0), labels[order]
    tile = comparable_distances(embeddings, distance)
    both, same = torch.zeros(2, BINS + 1, dtype=torch.int64, device=labels.device)
    start = 0
    while start < len(labels):
        stop = min(len(labels), start + max(1, BINNED // (len(labels) - start)))
        bins = _bins(tile(slice(start, stop), slice(start, len(labels))))
        # What is no pair, or is one that was seen, goes to a bin of its own.
        seen = torch.ones_like(bins[:, : stop - start], dtype=torch.bool).tril()
        bins[:, : stop - start].masked_fill_(seen, BINS)
        both += bins.flatten().bincount(minlength=BINS + 1)
        # Labels ascend: only the first columns can hold the classes of these rows.
        border = int(torch.searchsorted(labels, labels[stop - 1], right=True))
        is_same = labels[start:stop, None] == labels[start:border]
        same += bins[:, : border - start][is_same].bincount(minlength=BINS + 1)
        start = stop
    occupied = both[:BINS].nonzero()[:, 0]
    same, both = same[occupied].cumsum(0), both[occupied].cumsum(0)
    return same, both - same


def _bins(apart: Float[Tensor, "rows columns"]) -> Int[Tensor, "rows columns"]:
    """Number of each value's bin: the upper bits of a positive float ascend with it."""
    return apart.float().view(torch.int32) >> DROPPED_BITS
