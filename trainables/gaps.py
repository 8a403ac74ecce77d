"""How far the bounds on groups of one class are from the distances they bound."""

from collections import Counter
from collections.abc import Iterable, Mapping
from math import nan
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float, Int
from torch import Tensor

from trainables.aggregation import aggregated, hull_weights
from trainables.bounds import BOUNDS, BoundedPairs, PairBounds, pair_bounds
from trainables.contracts import Aggregator
from trainables.listed_pairs import ListedPairs
from trainables.loss_bounds import LOSS_BOUNDS, loss_bounds
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

MEMBER_PAIRS = 2**17
"""Distances of members, about, that T8 and T9 are measured with."""
SEPARATED_GROUPS = 400
"""Groups between which separation is measured, at least; their pairs grow with the square."""
TIGHTER: tuple[TighterBound, ...] = ("t1_double_prime", "t2", "t3", "t6", "t7", "best")
"""Bounds that are averaged and not listed; ``t4`` is among those that are."""


class Gaps(NamedTuple):
    """Bounds of groups of one size against their distances.

    ``means`` are over all pairs of groups of one class, in embedding units: ``m_star``, ``scale``,
    ``distance`` and, where the theorem covers the aggregator, for each bound as ``t4``: ``t4`` and
    ``t4_gap``, and as shares ``t4_relative_gap`` and ``t4_tightness``. The bounds are those of
    :class:`PairBounds`, :class:`TighterBounds` and :class:`LossBounds`. Those of the latter, ``t8``
    and ``t9``, are means over the listed pairs alone, and over fewer where groups are large: ``t8``
    with a random group of another class for each pair, at a margin of 0, so that neither ``m*`` nor
    the margin of a loss is in it; ``t9`` at ``m_99``, the margin that 99% of the distances of
    members keep: a few bad pairs decide ``m*`` and leave it alone.

    There, ``certified`` is the share of groups with a partner whose retrieval :func:`certified` is
    free of errors, and over all pairs of groups of different classes ``between`` is the mean
    distance, ``s1``, ``s2`` and ``s3`` the mean bounds below it; see :class:`Separation`. Where
    there are many groups, these are some classes' alone.

    ``violations`` counts pairs and bounds of one class, ``separation_violations`` of different
    classes; both are 0 where the theorem makes no promise. ``pairs`` lists at most 2,000 pairs,
    chosen at random, and always the pair with the largest ``t4 - distance`` and the one with the
    largest ``distance / t4``, see :class:`ListedPairs`: ``label`` (class index), ``first`` and
    ``second`` (group numbers), and in embedding units ``distance``, ``t1``, ``t1_prime``, ``t4``,
    ``m_star`` and ``scale``, bounds being NaN for uncovered aggregators.
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
        seed: of the choice of listed pairs and of the groups of other classes for ``t8``.
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
    means, violations, listed = _same_class(margin, labels, group_embeddings, groups, seed)
    separation_violations = 0
    if groups is not None:
        from_losses, violated = _from_losses(groups, members, labels, listed, seed)
        some = _some_classes(labels, seed)
        apart, separation_violations = _apart(
            separations(margin, members[some], mask[some], labels[some], groups.weights[some])
        )
        means |= from_losses | apart
        violations += violated
    overall = {"m_star": margin.m_star.item(), "scale": margin.scale.item()}
    return Gaps(overall | means, violations, separation_violations, _table(listed, labels))


def _same_class(
    margin: GroupMargin,
    labels: Int[Tensor, " groups"],
    group_embeddings: Float[Tensor, "groups width"],
    groups: HullGroups | None,
    seed: int,
) -> tuple[dict[str, float], int, PairBounds]:
    """Means over pairs of groups of one class, violations of their bounds, and the listed pairs."""
    counts = labels.bincount()
    count = int((counts * (counts - 1) // 2).sum())
    listing = ListedPairs(count, seed)
    largest = torch.full_like(group_embeddings[:, 0], -torch.inf)
    sums: Counter[str] = Counter()
    for pairs in same_class_pairs(labels):
        found = pair_bounds(margin, pairs, groups and groups.weights, group_embeddings)
        listing.add(found)
        sums.update({"distance": found.distance.sum().item()})
        if groups is not None:
            raise_largest(largest, pairs, found.t4)
            sums.update(_sums(found, BOUNDS) | _sums(tightened(groups, found), TIGHTER))
    means, violations = _means(sums, count)
    if groups is not None:
        free = certified(largest, margin.m_star)[largest != -torch.inf]
        means["certified"] = free.double().mean().item()
    return means, violations, listing.listed()


def _from_losses(
    groups: HullGroups,
    members: Float[Tensor, "groups points width"],
    labels: Int[Tensor, " groups"],
    listed: PairBounds,
    seed: int,
) -> tuple[dict[str, float], int]:
    """Means of T8 and T9 over listed pairs, and their violations."""
    # They are in the order of their classes: taken at equal steps, they are of all classes.
    step = -(-len(listed.first) * members.shape[1] ** 2 // MEMBER_PAIRS)
    pairs = listed.first[::step], listed.second[::step]
    found = loss_bounds(groups, members, labels, pairs, seed)
    means, violations = _means(_sums(found, LOSS_BOUNDS), len(pairs[0]))
    return means | {"m_99": found.threshold.item()}, violations


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
        measured = {"between": found.distance, "s1": found.s1, "s2": found.s2, "s3": found.s3}
        sums.update({name: values.sum().item() for name, values in measured.items()})
    return {name: total / count if count else nan for name, total in sums.items()}, violations


def _sums(found: BoundedPairs, names: tuple[str, ...]) -> dict[str, float]:
    """Of each bound, over some pairs: itself, what is measured of it, and its violations."""
    sums: dict[str, float] = {}
    for name in names:
        gap = found.gap(name).sum()
        measured = {
            "": found.bound(name).sum(),
            "_gap": gap,
            "_relative_gap": gap / found.scale,
            "_tightness": found.tightness(name).sum(),
            "_violations": found.violated(name).sum(),
        }
        sums |= {f"{name}{suffix}": value.item() for suffix, value in measured.items()}
    return sums


def _means(sums: Mapping[str, float], count: int) -> tuple[dict[str, float], int]:
    """What was summed over so many pairs, divided; and the violations of all bounds."""
    violations = {name for name in sums if name.endswith("_violations")}
    means = {name: total / count for name, total in sums.items() if name not in violations}
    return means, int(sum(sums[name] for name in violations))


def _table(listed: PairBounds, labels: Int[Tensor, " groups"]) -> pa.Table:
    of_pairs = labels[listed.first]
    columns = {"label": of_pairs, **vars(listed)}
    return pa.table(
        {name: column.expand(of_pairs.shape).cpu().numpy() for name, column in columns.items()}
    )
