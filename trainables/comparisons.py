"""How the rows of a step lie to each other, all of them or some anchors at a time."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from trainables.contracts import LabelledEmbeddings
from trainables.learned_distances import learned_distances

WHOLE, ANCHORS = 256, 128
"""Up to so many rows are compared at once, of more so many with all."""
EVERY = slice(None)


class Comparisons(NamedTuple):
    """Distances of anchors to all rows, and which pairs are of one class (no row with itself)."""

    apart: Float[Tensor, "anchors rows"]
    positive: Bool[Tensor, "anchors rows"]
    negative: Bool[Tensor, "anchors rows"]


def compared(rows: LabelledEmbeddings, anchors: slice = EVERY) -> Comparisons:
    """Compares every row with every other, or those rows that are the anchors."""
    classes = _classes(rows)
    same = classes[anchors, None] == classes
    positive = same.clone()
    positive.diagonal(anchors.start or 0).zero_()
    embeddings = rows.embeddings
    if anchors == EVERY:
        apart = learned_distances(embeddings)
    else:
        apart = learned_distances(embeddings[anchors], embeddings)
    return Comparisons(apart, positive, ~same)


def _classes(rows: LabelledEmbeddings) -> Int[Tensor, " rows"]:
    """What tells classes apart: labels, or where rows lie, which is the same in all of a stack."""
    if rows.class_size is None:
        return rows.labels
    return torch.arange(len(rows.labels), device=rows.labels.device) // rows.class_size


def to_positives(
    rows: LabelledEmbeddings,
    anchors: slice,
    apart: Float[Tensor, "anchors rows"],
    positive: Bool[Tensor, "anchors rows"],
) -> tuple[Float[Tensor, "anchors most"], Bool[Tensor, "anchors most"]]:
    """Distances of each anchor to its positives, and which of them are some.

    As many as any anchor has where that is known, or where only some rows are anchors: how many it
    is decides on shapes, so it is not asked of what may be stacked. Else to all rows.
    """
    if rows.class_size is not None and rows.class_size > 1:
        columns = _own_columns(len(rows.labels), rows.class_size, rows.labels.device)[anchors]
    elif anchors == EVERY:
        return apart, positive
    else:
        columns = positive.byte().topk(int(positive.sum(1).amax()), 1).indices
    return apart.gather(1, columns), positive.gather(1, columns)


def _own_columns(count: int, size: int, device: torch.device) -> Int[Tensor, "rows most"]:
    """The other rows of each row's class, of rows class by class."""
    row, other = torch.arange(count, device=device)[:, None], torch.arange(size - 1, device=device)
    place = row % size
    return row - place + other + (other >= place)


def summed_in_tiles(
    sums: Callable[[LabelledEmbeddings, slice], tuple[Tensor, ...]], rows: LabelledEmbeddings
) -> tuple[Tensor, ...]:
    """Sums over all anchors; of many rows a tile at a time, with the gradient of each at once.

    So what is held grows with the number of rows, and not with its square.

    Args:
        sums: takes the rows and which of them are the anchors; of its sums only the first has a
            gradient.
        rows: of the step.
    """
    count = len(rows.labels)
    if count <= WHOLE:
        return sums(rows, EVERY)
    is_learning = torch.is_grad_enabled() and rows.embeddings.requires_grad
    leaf = rows.embeddings.detach().requires_grad_(is_learning)
    gradient, found = torch.zeros_like(leaf), []
    for start in range(0, count, ANCHORS):
        first, *others = sums(rows._replace(embeddings=leaf), slice(start, start + ANCHORS))
        if is_learning:
            gradient += torch.autograd.grad(first, leaf)[0]
        found.append((first.detach(), *others))
    total, *counts = (torch.stack(parts).sum(0) for parts in zip(*found, strict=True))
    learning = (rows.embeddings * gradient).sum()
    return total + (learning - learning.detach()), *counts
