"""Batches of disjoint groups of one class; a whole epoch is planned in a few tensor operations."""

from collections.abc import Iterator
from typing import NamedTuple, final

import numpy as np
import torch
from jaxtyping import Bool, Int
from numpy.typing import NDArray
from torch import Generator, Tensor

CHUNK_NUMBERS = 1 << 22
PADDING = -1


class Batch(NamedTuple):
    """The shape of a step; the options of :class:`trainables.configuration.Training`."""

    classes_per_batch: int
    groups_per_class: int
    group_size: int
    group_size_spread: int

    @property
    def largest_group(self) -> int:
        """Points of the largest group that may be drawn."""
        return self.group_size + self.group_size_spread

    @property
    def points_per_class(self) -> int:
        """Points that a step takes of one class."""
        return self.groups_per_class * self.group_size


class StepPlan(NamedTuple):
    """Which points one step takes, and how they form groups.

    ``rows`` index the sampler's points; ``members`` index ``rows``, 0 at padded places. Groups
    stand class by class, real points first.
    """

    rows: Int[Tensor, " batch"]
    labels: Int[Tensor, " batch"]
    members: Int[Tensor, "groups points"]
    mask: Bool[Tensor, "groups points"]
    group_labels: Int[Tensor, " groups"]


@final
class GroupSampler:
    """Draws steps of disjoint same-class groups, every eligible class with the same chance.

    Groups of a class come in pairs, one as much larger than ``group_size`` as the other is smaller;
    an odd last one has exactly this size. Points are drawn without replacement within a step; with
    natural groups, those of a class are drawn inside different ones. Classes and natural groups
    that are too small are never drawn.

    Args:
        labels: class of each point.
        natural_groups: group of each point inside which groups are drawn, or None.
        batch: the shape of a step.

    Raises:
        ValueError: if the points cannot supply such a step; :func:`problems` says why.
    """

    def __init__(
        self, labels: NDArray[np.int64], natural_groups: NDArray[np.int64] | None, batch: Batch
    ) -> None:
        found = problems(labels, natural_groups, batch)
        if found:
            raise ValueError("; ".join(found))
        pools = _pools(labels, natural_groups, batch)
        classes = np.array([labels[pool[0]] for pool in pools])
        self._batch = batch
        self._is_natural = natural_groups is not None
        self._labels = torch.tensor(labels)
        self._pools = _padded(pools)
        self._pools_of_class = _padded([np.flatnonzero(classes == c) for c in np.unique(classes)])
        self.steps = max(1, len(labels) // (batch.classes_per_batch * batch.points_per_class))

    def epoch(self, generator: Generator) -> Iterator[StepPlan]:
        """The steps of an epoch, which takes as many points as there are.

        Args:
            generator: the only source of chance.
        """
        width = self._pools.shape[1] * self._batch.classes_per_batch
        width *= self._batch.groups_per_class if self._is_natural else 1
        at_once = max(1, CHUNK_NUMBERS // width)
        for first in range(0, self.steps, at_once):
            yield from self._plan(min(at_once, self.steps - first), generator)

    def _plan(self, steps: int, generator: Generator) -> Iterator[StepPlan]:
        sizes = self._sizes(steps, generator)
        mask = torch.arange(self._batch.largest_group) < sizes[..., None]
        members = (sizes.cumsum(1) - sizes)[..., None] + torch.arange(self._batch.largest_group)
        rows = self._rows(steps, mask, generator)
        labels = self._labels[rows]
        group_labels = labels[:, :: self._batch.points_per_class].repeat_interleave(
            self._batch.groups_per_class, dim=1
        )
        planned = (rows, labels, members.where(mask, 0), mask, group_labels)
        yield from map(StepPlan, *(part.unbind() for part in planned))

    def _sizes(self, steps: int, generator: Generator) -> Int[Tensor, "steps groups"]:
        batch = self._batch
        shape = (steps, batch.classes_per_batch, batch.groups_per_class // 2)
        spread = batch.group_size_spread
        departure = torch.randint(-spread, spread + 1, shape, generator=generator)
        even = torch.zeros(*shape[:2], batch.groups_per_class % 2, dtype=torch.int64)
        pairs = torch.stack([departure, -departure], dim=3).flatten(2)
        return batch.group_size + torch.cat([pairs, even], dim=2).flatten(1)

    def _rows(
        self, steps: int, mask: Bool[Tensor, "steps groups points"], generator: Generator
    ) -> Int[Tensor, "steps batch"]:
        batch = self._batch
        every = torch.arange(len(self._pools_of_class)).expand(steps, -1)
        classes = _drawn(every, batch.classes_per_batch, generator)
        if not self._is_natural:
            pools = self._pools[self._pools_of_class[classes, 0]]
            return _drawn(pools, batch.points_per_class, generator).flatten(1)
        pools = _drawn(self._pools_of_class[classes], batch.groups_per_class, generator)
        points = _drawn(self._pools[pools], batch.largest_group, generator)
        return points.flatten(1, 2)[mask].view(steps, -1)


def problems(
    labels: NDArray[np.int64], natural_groups: NDArray[np.int64] | None, batch: Batch
) -> list[str]:
    """Why points with these labels cannot supply a step, each with the option to change."""
    if batch.group_size_spread >= batch.group_size:
        return [
            f"training.group_size_spread: must be less than group_size, got "
            f"{batch.group_size_spread} with group_size {batch.group_size}"
        ]
    pools = _pools(labels, natural_groups, batch)
    eligible = len({int(labels[pool[0]]) for pool in pools})
    if eligible >= batch.classes_per_batch:
        return []
    needed = (
        f"{batch.groups_per_class} natural groups of at least {batch.largest_group} points"
        if natural_groups is not None
        else f"{batch.groups_per_class} x {batch.group_size} points"
    )
    return [
        f"training.classes_per_batch: {batch.classes_per_batch}, but only {eligible} of "
        f"{len(np.unique(labels))} classes have {needed}; lower it, group_size or groups_per_class"
    ]


def _pools(
    labels: NDArray[np.int64], natural_groups: NDArray[np.int64] | None, batch: Batch
) -> list[NDArray[np.int64]]:
    """Rows among which a draw takes place: of each class, or of each natural group of a class."""
    if natural_groups is None:
        return [rows for rows in _by_value(labels) if len(rows) >= batch.points_per_class]
    pools = [rows for rows in _by_value(natural_groups) if len(rows) >= batch.largest_group]
    counts = np.bincount([labels[rows[0]] for rows in pools], minlength=int(labels.max()) + 1)
    return [rows for rows in pools if counts[labels[rows[0]]] >= batch.groups_per_class]


def _by_value(values: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    order = np.argsort(values, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(values[order])) + 1)


def _padded(rows: list[NDArray[np.int64]]) -> Int[Tensor, "lists places"]:
    lists = [torch.tensor(row) for row in rows]
    return torch.nn.utils.rnn.pad_sequence(lists, batch_first=True, padding_value=PADDING)


def _drawn(
    pools: Int[Tensor, "*lists places"], count: int, generator: Generator
) -> Int[Tensor, "*lists count"]:
    """``count`` different entries of every list, in random order; padding is never drawn."""
    chances = torch.rand(pools.shape, generator=generator).masked_fill_(pools == PADDING, -1)
    return pools.gather(-1, chances.topk(count, dim=-1).indices)
