"""How well the nearest neighbours of each embedding share its class."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from trainables.distances import TILE, Distance, comparable_distances

TIE = 1e-10
"""Relative difference of distances, or of their squares, that rounding may hide."""


class Retrieval(NamedTuple):
    """Means over all queries, each from 0 to 1; NaN for embeddings that are not finite.

    R is the number of other embeddings of the query's class. ``map_at_r`` is the mean of
    ``1/R sum_{k <= R} [k-th neighbour is of the class] * (share of the class among the first k)``
    (Musgrave et al. 2020, eq. 2), ``r_precision`` the share of the class among the first R
    neighbours, ``recall_at_1`` the share of queries whose nearest neighbour is of their class.
    """

    map_at_r: float
    r_precision: float
    recall_at_1: float


def retrieval(
    embeddings: Float[Tensor, "rows width"],
    labels: Int[Tensor, " rows"],
    distance: Distance | None = None,
) -> Retrieval:
    """Lets every embedding query all others by distance.

    Ties count against the query: at distances that agree in ten digits other classes come first.
    So the result does not depend on the order of the rows, and embeddings that coincide retrieve
    nothing.

    Args:
        embeddings: what is searched.
        labels: class indices; each occurs at least twice.
        distance: by which neighbours are near; Euclidean by default.
    """
    if not bool(embeddings.isfinite().all()):
        return Retrieval(torch.nan, torch.nan, torch.nan)
    order = labels.argsort(stable=True)
    embeddings, labels = embeddings.double()[order], labels[order]
    embeddings = embeddings - embeddings.mean(0)
    tile = comparable_distances(embeddings, distance)
    step = max(1, TILE // len(labels))
    scores = [
        _scores(tile(slice(start, start + step), slice(None)), labels, start)
        for start in range(0, len(labels), step)
    ]
    return Retrieval(*torch.cat(scores).mean(0).tolist())


def _scores(
    tile: Float[Tensor, "queries rows"], labels: Int[Tensor, " rows"], start: int
) -> Float[Tensor, "queries 3"]:
    """The three metrics of each query; rows are ordered by class, queries begin at ``start``."""
    queries = torch.arange(start, start + len(tile), device=tile.device)
    counts = labels.bincount()
    relevant = counts[labels[queries]] - 1
    own, is_other = _own_class(labels, counts, queries)
    positives = tile.gather(1, own).masked_fill(~is_other, torch.inf).sort(1).values
    positives = positives[:, :-1].contiguous()
    depth = positives.shape[1]
    tile.scatter_(1, own, torch.inf)
    negatives = tile.topk(depth, largest=False).values
    # The i-th nearest of the class comes after i - 1 others and all negatives not further away.
    # Counting among the nearest R negatives is enough: with R of them it is out of reach anyway.
    place = torch.arange(1.0, depth + 1, dtype=torch.float64, device=tile.device)
    rank = place + torch.searchsorted(negatives, positives * (1 + TIE), right=True)
    found = rank <= relevant[:, None]
    precision = (found * place / rank).sum(1) / relevant
    share = found.sum(1) / relevant.double()
    return torch.stack([precision, share, (rank[:, 0] == 1).double()], 1)


def _own_class(
    labels: Int[Tensor, " rows"], counts: Int[Tensor, " classes"], queries: Int[Tensor, " queries"]
) -> tuple[Int[Tensor, "queries largest"], Bool[Tensor, "queries largest"]]:
    """Rows of each query's class, repeating one where a class is smaller than the largest.

    The second value tells where a row stands for the first time and is not the query itself.
    """
    first = (counts.cumsum(0) - counts)[labels[queries]][:, None]
    offset = torch.arange(int(counts.max()), device=labels.device)
    exists = offset < counts[labels[queries]][:, None]
    own = torch.where(exists, first + offset, first)
    return own, exists & (own != queries[:, None])
