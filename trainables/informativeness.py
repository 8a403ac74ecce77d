"""How informative group embeddings are by themselves, whatever the bound on their distance.

Bengio, Courville and Vincent (2013), "Representation learning": a good representation is
expressive, invariant to what does not matter, and robust. Everything here is float64.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from trainables.aggregation import aggregated
from trainables.contracts import Aggregator
from trainables.distances import TILE, prepared, squared_distances

NEIGHBOURS = 5
RIDGE = 1e-3
"""Penalty of the linear probe, as a share of the mean squared length of a centred embedding."""
LEAST = 1e-300


def informativeness(
    members: Float[Tensor, "groups points width"],
    labels: Int[Tensor, " groups"],
    aggregator: Aggregator,
) -> dict[str, float]:
    """Measures of groups of one size, by name.

    - ``probe_accuracy``, ``neighbour_accuracy``, ``effective_rank``: see the functions here;
    - ``drop_shift`` and ``half_shift``, for groups of at least two points: how far a group
      embedding moves when the group loses its last member, or its last half, as a share of the root
      mean square distance of two groups. 0 is perfectly robust, or invariant to group size.

    Args:
        members: embeddings of the groups' points, in random order; all places are real.
        labels: class index of each group; every class has two groups or more.
        aggregator: what makes the group embeddings.
    """
    size = members.shape[1]
    whole = aggregated(aggregator, members).double()
    found = {
        "probe_accuracy": probe_accuracy(whole, labels),
        "neighbour_accuracy": neighbour_accuracy(whole, labels),
        "effective_rank": effective_rank(whole),
    }
    scale = (2 * (whole - whole.mean(0)).square().sum(1).mean()).sqrt().clamp_min(LEAST)
    for name, kept in (("drop_shift", size - 1), ("half_shift", size // 2)):
        if kept:
            part = aggregated(aggregator, members[:, :kept]).double()
            found[name] = float((whole - part).norm(dim=1).mean() / scale)
    return found


def probe_accuracy(
    embeddings: Float[Tensor, "groups width"], labels: Int[Tensor, " groups"]
) -> float:
    """Accuracy of a linear probe on every second group of a class, fitted to the others.

    Alain and Bengio (2017), by least squares with a small penalty instead of cross-entropy: it has
    a closed form.
    """
    classes, local = labels.unique(return_inverse=True)
    is_fitted = _place_in_class(local) % 2 == 0
    targets = (local[:, None] == torch.arange(len(classes), device=labels.device)).double()
    centred = embeddings - embeddings[is_fitted].mean(0)
    inputs = torch.cat([centred, torch.ones_like(centred[:, :1])], 1)
    known = inputs[is_fitted]
    penalty = RIDGE * centred[is_fitted].square().sum(1).mean().clamp_min(LEAST)
    squares = known.T @ known
    squares.diagonal().add_(penalty)
    solution = torch.linalg.solve(squares, known.T @ targets[is_fitted])
    predicted = (inputs[~is_fitted] @ solution).argmax(1)
    return float((predicted == local[~is_fitted]).double().mean())


def neighbour_accuracy(
    embeddings: Float[Tensor, "groups width"], labels: Int[Tensor, " groups"]
) -> float:
    """Accuracy of the vote of a group's 5 nearest; of equal votes the nearer class wins."""
    known = prepared(embeddings - embeddings.mean(0))
    count, step = min(NEIGHBOURS, len(labels) - 1), max(1, TILE // len(labels))
    right = 0
    for start in range(0, len(labels), step):
        tile = squared_distances(known.part(slice(start, start + step)), known).squares
        rows = torch.arange(len(tile), device=tile.device)
        tile[rows, rows + start] = torch.inf
        near = labels[tile.topk(count, largest=False).indices]
        votes = (near[:, :, None] == near[:, None]).sum(2)
        chosen = near.gather(1, votes.argmax(1, keepdim=True)).squeeze(1)
        right += int((chosen == labels[start : start + step]).sum())
    return right / len(labels)


def effective_rank(embeddings: Float[Tensor, "groups width"]) -> float:
    """Exponential of the entropy of the normalised singular values of centred embeddings.

    Roy and Vetterli (2007), definition 1: from 1 to the width; 1 where all embeddings coincide.
    """
    centred = embeddings - embeddings.mean(0)
    values = torch.linalg.eigvalsh(centred.T @ centred).clamp_min(0).sqrt()
    return float(torch.special.entr(normalize(values, p=1, dim=0)).sum().exp())


def _place_in_class(labels: Int[Tensor, " groups"]) -> Int[Tensor, " groups"]:
    """Of each group, how many of its class come before it."""
    order = labels.argsort(stable=True)
    counts = labels.bincount()
    starts = counts.cumsum(0) - counts
    places = torch.empty_like(labels)
    places[order] = torch.arange(len(labels), device=labels.device) - starts[labels[order]]
    return places
