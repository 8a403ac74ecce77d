"""How far the bounds on groups of one class are from the distances they bound."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import fields
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from trainables.aggregation import aggregated, hull_weights
from trainables.bounds import BOUNDS, Bound, PairBounds, pair_bounds
from trainables.contracts import Aggregator
from trainables.margin import group_margin
from trainables.pairs import same_class_pairs

LISTED_PAIRS = 2000


class Gaps(NamedTuple):
    """Bounds of groups of one size against their distances.

    ``means`` are over all pairs of groups of one class, in embedding units: ``m_star``, ``scale``,
    ``distance`` and, where the theorem covers the aggregator, for each bound as ``t4``: ``t4`` and
    ``t4_gap``, and as shares ``t4_relative_gap`` and ``t4_tightness``; see :class:`PairBounds`.
    ``violations`` counts pairs and bounds; it is 0 where the theorem makes no promise. ``pairs``
    lists at most 2,000 pairs, chosen at random: ``label`` (class index), ``first`` and ``second``
    (group numbers), and in embedding units ``distance``, ``t1``, ``t1_prime``, ``t4``, ``m_star``
    and ``scale``, bounds being NaN for uncovered aggregators.
    """

    means: dict[str, float]
    violations: int
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
    margin = group_margin(members, torch.ones_like(members[..., 0], dtype=torch.bool), labels)
    weights = hull_weights(aggregator, members)
    if weights is None:
        group_embeddings = aggregated(aggregator, members)
    else:
        group_embeddings = torch.einsum("gp,gpw->gw", weights, members)
    names = () if weights is None else BOUNDS
    counts = labels.bincount()
    count = int((counts * (counts - 1) // 2).sum())
    listed = np.random.default_rng(seed).choice(count, min(count, LISTED_PAIRS), replace=False)
    sums: Counter[str] = Counter()
    tables, start = [], 0
    for first, second in same_class_pairs(labels):
        found = pair_bounds(margin, (first, second), weights, group_embeddings)
        sums.update({name: values.sum().item() for name, values in _measured(found, names)})
        inside = listed[(start <= listed) & (listed < start + len(first))] - start
        tables.append(_table(found, labels[first], np.sort(inside)))
        start += len(first)
    violations = sum(sums.pop(f"{name}_violations") for name in names)
    means = {name: total / count for name, total in sums.items()}
    overall = {"m_star": margin.m_star.item(), "scale": margin.scale.item()}
    return Gaps({**overall, **means}, int(violations), pa.concat_tables(tables))


def _measured(found: PairBounds, names: tuple[Bound, ...]) -> Iterator[tuple[str, Tensor]]:
    yield "distance", found.distance
    for name in names:
        yield name, found.bound(name)
        yield f"{name}_gap", found.gap(name)
        yield f"{name}_relative_gap", found.relative_gap(name)
        yield f"{name}_tightness", found.tightness(name)
        yield f"{name}_violations", found.violated(name)


def _table(found: PairBounds, labels: Int[Tensor, " pairs"], rows: NDArray[np.int64]) -> pa.Table:
    columns = {
        "label": labels,
        **{field.name: getattr(found, field.name) for field in fields(found)},
    }
    return pa.table(
        {name: column.expand(len(labels)).cpu().numpy()[rows] for name, column in columns.items()}
    )
