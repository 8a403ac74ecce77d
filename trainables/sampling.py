"""Which points make up the groups of every training step, drawn for a whole epoch at once."""

from typing import NamedTuple, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator

from trainables.step_plan import StepPlan

Ints = NDArray[np.int64]


class _Batch(NamedTuple):
    """What a training asks of every step."""

    classes_per_batch: int
    groups_per_class: int
    group_size: int
    group_size_spread: int

    @property
    def points_per_class(self) -> int:
        return self.groups_per_class * self.group_size

    @property
    def largest_group(self) -> int:
        """Points of the largest group there can be: a lone group of its class does not vary."""
        return self.group_size + (self.group_size_spread if self.groups_per_class > 1 else 0)


class _Pools(NamedTuple):
    """Disjoint pools to draw from: items ordered by pool, and how many items each pool holds."""

    items: Ints
    sizes: Ints

    def draw(self, pools: Ints, count: int, generator: Generator) -> Ints:
        """For each draw, ``count`` distinct items of its pool; every selection is equally likely.

        A pool is shuffled and dealt out until too few items are left, then shuffled anew: the draws
        that one shuffle serves are disjoint. Every pool drawn from must hold ``count`` items. Work
        and memory are proportional to ``items + draws * count``, whatever the sizes of the pools.
        Gives one row of items for each draw.
        """
        per_shuffle = self.sizes // count
        # Rounded up; a shuffle of n items serves n // count draws, so at most 2 count items each.
        shuffles = -(np.bincount(pools, minlength=len(self.sizes)) // -per_shuffle)
        shuffled_pools = _runs(shuffles)
        sizes = self.sizes[shuffled_pools]
        shuffle = _runs(sizes)
        source = _places(sizes) + _starts(self.sizes)[shuffled_pools[shuffle]]
        # Shuffle k has keys in [k, k + 1): one sort puts each in random order and in its place.
        keys = torch.rand(len(shuffle), generator=generator, dtype=torch.float64).numpy() + shuffle
        shuffled = self.items[source[keys.argsort(kind="stable")]]
        turn = _occurrences(pools)
        deal = _starts(shuffles)[pools] + turn // per_shuffle[pools]
        first = _starts(sizes)[deal] + turn % per_shuffle[pools] * count
        drawn: Ints = shuffled[first[:, None] + np.arange(count)]
        return drawn


@final
class GroupSampler:
    """Draws disjoint groups of points of one class: classes alike, and points alike in a class.

    Every step has ``classes_per_batch`` distinct classes, however large, and
    ``groups_per_class * group_size`` points of each. The groups of a class are paired: one has
    ``group_size + u`` points, the next ``group_size - u``, with u uniform among the integers from
    ``-group_size_spread`` to ``group_size_spread``; an odd last group has ``group_size``.

    A class takes part if it has the points of its groups; with natural groups, if it has
    ``groups_per_class`` natural groups that are as large as the largest group drawn. Each group is
    then drawn inside one natural group, and the groups of a class from different ones. Points of
    other classes and natural groups are never drawn.

    Args:
        labels: class index of each point.
        natural_groups: natural group of each point, or None.
        classes_per_batch: distinct classes in a step.
        groups_per_class: disjoint groups of each of these classes.
        group_size: points of a group, on average.
        group_size_spread: largest departure of a group from ``group_size``, in points.

    Raises:
        ValueError: if :func:`problems` finds any.
    """

    def __init__(
        self,
        labels: Ints,
        natural_groups: Ints | None,
        *,
        classes_per_batch: int,
        groups_per_class: int,
        group_size: int,
        group_size_spread: int,
    ) -> None:
        batch = _Batch(classes_per_batch, groups_per_class, group_size, group_size_spread)
        found = _problems(labels, natural_groups, batch)
        if found:
            raise ValueError("\n".join(found))
        self._batch = batch
        self._labels = labels
        self._classes, self._natural_groups = _pools(labels, natural_groups, batch)
        self.steps_per_epoch = max(1, len(labels) // (classes_per_batch * batch.points_per_class))

    def epoch(self, generator: Generator) -> StepPlan:
        """Plans ``steps_per_epoch`` steps; everything random comes from ``generator``."""
        # With numpy: each of these small steps would take several times as long with torch.
        sizes = self._group_sizes(generator)
        rows = self._rows(sizes, generator)
        places = np.arange(self._batch.group_size + self._batch.group_size_spread)
        mask = places < sizes[:, :, None]
        members = ((sizes.cumsum(1) - sizes)[:, :, None] + places) * mask
        labels = self._labels[rows]
        group_labels = np.take_along_axis(labels, members[:, :, 0], 1)
        return StepPlan._make(map(torch.from_numpy, (rows, members, mask, labels, group_labels)))

    def _group_sizes(self, generator: Generator) -> Ints:
        """Points of each group, by step."""
        batch = self._batch
        pairs = (self.steps_per_epoch, batch.classes_per_batch, batch.groups_per_class // 2)
        spread = batch.group_size_spread
        larger = torch.randint(-spread, spread + 1, pairs, generator=generator).numpy()
        departures = np.stack([larger, -larger], 3).reshape(*pairs[:2], -1)
        lone = np.zeros((*pairs[:2], batch.groups_per_class % 2), np.int64)
        each: Ints = np.concatenate([departures, lone], 2) + batch.group_size
        return each.reshape(len(each), -1)

    def _rows(self, sizes: Ints, generator: Generator) -> Ints:
        """The points of each step, given the points of its groups."""
        batch, steps, present = self._batch, len(sizes), len(self._classes.sizes)
        every_class = _Pools(np.arange(present), np.array([present]))
        one_pool = np.zeros(steps, np.int64)
        classes = every_class.draw(one_pool, batch.classes_per_batch, generator).ravel()
        if self._natural_groups is None:
            points = self._classes.draw(classes, batch.points_per_class, generator)
            return points.reshape(steps, -1)
        groups = self._classes.draw(classes, batch.groups_per_class, generator).ravel()
        rows = self._natural_groups.draw(groups, batch.largest_group, generator)
        return rows[np.arange(batch.largest_group) < sizes.reshape(-1, 1)].reshape(steps, -1)


def problems(
    labels: Ints,
    natural_groups: Ints | None,
    *,
    classes_per_batch: int,
    groups_per_class: int,
    group_size: int,
    group_size_spread: int,
) -> list[str]:
    """Why these arguments make no :class:`GroupSampler`, each as ``option: reason; remedy``."""
    batch = _Batch(classes_per_batch, groups_per_class, group_size, group_size_spread)
    return _problems(labels, natural_groups, batch)


def _problems(labels: Ints, natural_groups: Ints | None, batch: _Batch) -> list[str]:
    found = []
    if batch.group_size_spread >= batch.group_size:
        found.append(
            f"training.group_size_spread: must be below group_size {batch.group_size}, "
            f"got {batch.group_size_spread}; lower it"
        )
    present = len(np.unique(labels))
    if present < batch.classes_per_batch:
        return [
            *found,
            f"training.classes_per_batch: must be at most {present}, the classes there are to "
            f"train on, got {batch.classes_per_batch}; lower it",
        ]
    fit = len(_pools(labels, natural_groups, batch)[0].sizes)
    if fit < batch.classes_per_batch:
        found.append(
            f"training.group_size: classes_per_batch is {batch.classes_per_batch}, but only {fit} "
            f"of {present} classes have {_asked(batch, natural_groups is not None)}; lower any of "
            "these options"
        )
    return found


def _asked(batch: _Batch, natural: bool) -> str:
    """What a class must have, in words."""
    if natural:
        return (
            f"{batch.groups_per_class} natural groups (groups_per_class) of {batch.largest_group} "
            "points (group_size, plus group_size_spread where groups are paired)"
        )
    return f"{batch.points_per_class} points (groups_per_class x group_size)"


def _pools(
    labels: Ints, natural_groups: Ints | None, batch: _Batch
) -> tuple[_Pools, _Pools | None]:
    """The classes that take part: pools of points, or of natural groups that are such pools."""
    if natural_groups is None:
        return _large_pools(labels, batch.points_per_class), None
    groups = _large_pools(natural_groups, batch.largest_group)
    first_points = groups.items[_starts(groups.sizes)]
    return _large_pools(labels[first_points], batch.groups_per_class), groups


def _large_pools(pool: Ints, least: int) -> _Pools:
    """Items by the number of their pool, without the pools that hold fewer than ``least``."""
    sizes = np.bincount(pool)
    order = pool.argsort(kind="stable")
    large = sizes >= least
    return _Pools(order[large[pool[order]]], sizes[large])


def _starts(sizes: Ints) -> Ints:
    """Where each run begins when runs of these sizes follow one another."""
    return sizes.cumsum() - sizes


def _runs(sizes: Ints) -> Ints:
    """0, 0, ..., 1, 1, ...: the number of its run for each item of runs of these sizes."""
    return np.arange(len(sizes)).repeat(sizes)


def _places(sizes: Ints) -> Ints:
    """0, 1, 2, ... within each of the runs of these sizes."""
    return np.arange(sizes.sum()) - _starts(sizes).repeat(sizes)


def _occurrences(values: Ints) -> Ints:
    """How often each value occurred before."""
    before = np.empty_like(values)
    before[values.argsort(kind="stable")] = _places(np.bincount(values))
    return before
