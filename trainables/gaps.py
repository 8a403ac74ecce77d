"""How far the bounds on groups of one class are from the distances they bound."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import fields
from math import nan
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from trainables.aggregation import aggregated, hull_weights
from trainables.bounds import BOUNDS, BoundedPairs, PairBounds, pair_bounds
from trainables.contracts import Aggregator
from trainables.margin import GroupMargin, group_margin
from trainables.pairs import same_class_pairs
from trainables.separation import (
    SEPARATION_BOUNDS,
    Separation,
    certified,
    raise_largest,
    separations,
)
from trainables.tighter_bounds import (
    HullGroups,
    TighterBound,
    tightened,
    variance,
)

LISTED_PAIRS = 2000
SEPARATED_GROUPS = 400
"""Groups between which separation is measured, at least; their pairs grow with the square."""
TIGHTER: tuple[TighterBound, ...] = ("t6", "t7", "best")
"""Bounds that are averaged and not listed: the others are looser than ``t4``, which is listed."""


class Gaps(NamedTuple):
    """Bounds of groups of one size against their distances.

    ``means`` are over all pairs of groups of one class, in embedding units: ``m_star``, ``scale``,
    ``distance`` and, where the theorem covers the aggregator, for each bound as ``t4``: ``t4`` and
    ``t4_gap``, and as shares ``t4_relative_gap`` and ``t4_tightness``; see :class:`PairBounds` and,
    for ``t6``, ``t7`` and ``best``, :class:`TighterBounds`. There, ``certified`` is the share of
    groups with a partner whose retrieval :func:`certified` is free of errors, and over all pairs of
    groups of different classes ``between`` is the mean distance, ``s2`` and ``s3`` the mean bounds
    below it; see :class:`Separation`. Where there are many groups, these are some classes' alone.
    ``violations`` counts pairs and bounds of one class, ``separation_violations`` of different
    classes; both are 0 where the theorem makes no promise. ``pairs`` lists at most 2,000 pairs,
    chosen at random: ``label`` (class index), ``first`` and ``second`` (group numbers), and in
    embedding units ``distance``, ``t1``, ``t1_prime``, ``t4``, ``m_star`` and ``scale``, bounds
    being NaN for uncovered aggregators.
    """

    means: dict[str, float]
    violations: int
    separation_violations: int
    pairs: pa.Table


def gaps(
    members: Float[Tensor, "groups points width"],
    labels: Int[Tensor, " groups"],
    aggregator: Aggregator,
    seed: int,
) -> Gaps:
    """Compares bounds and distances of all pairs of groups of one class.

    Group embeddings of a hull aggregator are ``weights @ embeddings`` in float64, so that rounding
    in the aggregator makes no violation.

    Args:
        members: embeddings of the groups' points; all places are real.
        labels: class index of each group; some class has two groups.
        aggregator: what makes the group embeddings.
        seed: of the choice of listed pairs.
    """
    members = members.double()
    mask = torch.ones_like(members[..., 0], dtype=torch.bool)
    margin = group_margin(members, mask, labels)
    weights = hull_weights(aggregator, members)
    if weights is None:
        group_embeddings = aggregated(aggregator, members)
    else:
        group_embeddings = torch.einsum("gp,gpw->gw", weights, members)
    groups = None
    if weights is not None:
        spread = variance(members, weights, group_embeddings)
        groups = HullGroups(margin, weights, group_embeddings, spread)
    means, violations, table = _same_class(margin, labels, group_embeddings, groups, seed)
    separation_violations = 0
    if weights is not None:
        some = _some_classes(labels, seed)
        apart, separation_violations = _apart(
            separations(margin, members[some], mask[some], labels[some], weights[some])
        )
        means |= apart
    overall = {"m_star": margin.m_star.item(), "scale": margin.scale.item()}
    return Gaps(overall | means, violations, separation_violations, table)


def _same_class(
    margin: GroupMargin,
    labels: Int[Tensor, " groups"],
    group_embeddings: Float[Tensor, "groups width"],
    groups: HullGroups | None,
    seed: int,
) -> tuple[dict[str, float], int, pa.Table]:
    """Means over pairs of groups of one class, violations of their bounds, and the list."""
    counts = labels.bincount()
    count = int((counts * (counts - 1) // 2).sum())
    listed = np.random.default_rng(seed).choice(count, min(count, LISTED_PAIRS), replace=False)
    largest = torch.full_like(group_embeddings[:, 0], -torch.inf)
    sums: Counter[str] = Counter()
    tables, start = [], 0
    for pairs in same_class_pairs(labels):
        found = pair_bounds(margin, pairs, groups and groups.weights, group_embeddings)
        sums.update({"distance": found.distance.sum().item()})
        if groups is not None:
            raise_largest(largest, pairs, found.t4)
            sums.update(_sums(found, BOUNDS) | _sums(tightened(groups, found), TIGHTER))
        inside = listed[(start <= listed) & (listed < start + len(pairs[0]))] - start
        tables.append(_table(found, labels[pairs[0]], np.sort(inside)))
        start += len(pairs[0])
    violations = int(sum(sums.pop(f"{name}_violations", 0) for name in (*BOUNDS, *TIGHTER)))
    means = {name: total / count for name, total in sums.items()}
    if groups is not None:
        free = certified(largest, margin.m_star)[largest != -torch.inf]
        means["certified"] = free.double().mean().item()
    return means, violations, pa.concat_tables(tables)


def _some_classes(labels: Int[Tensor, " groups"], seed: int) -> Int[Tensor, " chosen"]:
    """All groups of as many classes, chosen at random, as have ``SEPARATED_GROUPS`` of them."""
    counts = labels.bincount().cpu().numpy()
    classes = np.random.default_rng(seed).permutation(counts.nonzero()[0])
    enough = max(2, int(np.searchsorted(counts[classes].cumsum(), SEPARATED_GROUPS)) + 1)
    chosen = torch.isin(labels, torch.from_numpy(classes[:enough]).to(labels.device))
    return chosen.nonzero().squeeze(1)


def _apart(chunks: Iterable[Separation]) -> tuple[dict[str, float], int]:
    """Means over pairs of groups of different classes, and violations of the bounds below them."""
    sums: Counter[str] = Counter()
    count = violations = 0
    for found in chunks:
        count += len(found.first)
        violations += sum(int(found.violated(name).sum()) for name in SEPARATION_BOUNDS)
        measured = {"between": found.distance, "s2": found.s2, "s3": found.s3}
        sums.update({name: values.sum().item() for name, values in measured.items()})
    return {name: total / count if count else nan for name, total in sums.items()}, violations


def _sums(found: BoundedPairs, names: tuple[str, ...]) -> dict[str, float]:
    """Of each bound, over some pairs: itself, what is measured of it, and its violations."""
    return {
        f"{name}{suffix}": values.sum().item()
        for name in names
        for suffix, values in (
            ("", found.bound(name)),
            ("_gap", found.gap(name)),
            ("_relative_gap", found.relative_gap(name)),
            ("_tightness", found.tightness(name)),
            ("_violations", found.violated(name)),
        )
    }


def _table(found: PairBounds, labels: Int[Tensor, " pairs"], rows: NDArray[np.int64]) -> pa.Table:
    columns = {
        "label": labels,
        **{field.name: getattr(found, field.name) for field in fields(found)},
    }
    return pa.table(
        {name: column.expand(len(labels)).cpu().numpy()[rows] for name, column in columns.items()}
    )
