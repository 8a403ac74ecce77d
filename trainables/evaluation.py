"""What is measured of group embeddings: retrieval, verification, and how close bounds come."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from statistics import fmean
from typing import final

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor

from trainables.aggregation import aggregated
from trainables.contracts import Aggregator, HullAggregator
from trainables.gaps import gaps
from trainables.grouping import Groups, draw_groups
from trainables.informativeness import informativeness
from trainables.input_reading import InputSpace, input_reading
from trainables.retrieval import Retrieval, retrieval
from trainables.verification import Verification, verification

Measure = Callable[[Float[Tensor, "rows width"], Int[Tensor, " rows"]], Retrieval | Verification]
MEASURES: dict[str, tuple[Measure, ...]] = {
    "left_out_classes": (),
    **dict.fromkeys(Retrieval._fields, (retrieval,)),
    **dict.fromkeys(Verification._fields, (verification,)),
}


@final
@dataclass(frozen=True)
class Protocol:
    """How an evaluation draws its groups.

    Args:
        sizes: points per group, each at least 1.
        draws: how often groups of each size are drawn; metrics are means over the draws.
        seed: of the draws, at least 0.
    """

    sizes: tuple[int, ...]
    draws: int
    seed: int


@final
@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Args:
        quality: metrics by name; suffix ``.size5`` for groups of 5, ``.points`` for single points.
        bound: bound metrics by name, and whether the theorem covers the aggregator.
        pairs: some pairs of groups of one class, see :func:`trainables.gaps.gaps`.
    """

    quality: dict[str, float]
    bound: dict[str, float]
    pairs: pa.Table


@torch.no_grad()
def evaluate(
    embeddings: Float[Tensor, "rows width"],
    labels: Int[Tensor, " rows"],
    natural_groups: Int[Tensor, " rows"] | None,
    aggregator: Aggregator,
    protocol: Protocol,
    inputs: InputSpace | None = None,
) -> Evaluation:
    """Everything there is to know of point embeddings and an aggregator.

    Quality metrics are those of :class:`Retrieval` and :class:`Verification`, and how many classes
    were left out for making fewer than two groups; besides, of the groups of the first draw, those
    of :func:`trainables.informativeness.informativeness`. Bound metrics are those of
    :func:`trainables.gaps.gaps` for the same groups: other draws regroup the same points and move
    means over thousands of pairs little. Those of :func:`trainables.input_reading.input_reading`
    are there where the theorem covers the aggregator and ``inputs`` are given. The same arguments
    give the same result.

    Args:
        embeddings: of the points.
        labels: class index of each point.
        natural_groups: natural group of each point, inside which groups are drawn, or None.
        aggregator: is applied in evaluation mode.
        protocol: how groups are drawn.
        inputs: the points of the embeddings, of an encoder whose Lipschitz constant is known.

    Raises:
        TooFewGroupsError: if, at some size, fewer than two classes make two groups.
    """
    held_out = _HeldOut(embeddings, labels, natural_groups, aggregator, protocol)
    quality = held_out.measure(None, retrieval, verification)
    covered = isinstance(aggregator, HullAggregator)
    bound, counts, pairs = {"covered": float(covered)}, Counter[str](), []
    for size in protocol.sizes:
        quality |= held_out.measure(size, retrieval, verification)
        groups = held_out.draw(size, 0)
        members = embeddings[groups.members]
        informative = informativeness(members, groups.labels, aggregator)
        quality |= {f"{name}.size{size}": value for name, value in informative.items()}
        means, found, table = _bounds_of(members, groups, aggregator, protocol.seed, inputs)
        bound |= {f"{name}.size{size}": value for name, value in means.items()}
        counts.update(found)
        pairs.append(table.add_column(0, "size", pa.repeat(size, len(table))))
    if inputs is not None:
        bound["lipschitz"] = inputs.lipschitz
    if covered:
        bound |= {name: float(count) for name, count in counts.items()}
    return Evaluation(quality, bound, pa.concat_tables(pairs))


def _bounds_of(
    members: Float[Tensor, "groups points width"],
    groups: Groups,
    aggregator: Aggregator,
    seed: int,
    inputs: InputSpace | None,
) -> tuple[dict[str, float], dict[str, int], pa.Table]:
    """Bound metrics of groups of one size, how many bounds of each kind are violated, and pairs."""
    found = gaps(members, groups.labels, aggregator, seed)
    counts = {
        "violations": found.violations,
        "separation_violations": found.separation_violations,
    }
    if inputs is None or not isinstance(aggregator, HullAggregator):
        return found.means, counts, found.pairs
    read = input_reading(inputs, groups, members, aggregator, found)
    return found.means | read.means, counts | {"input_violations": read.violations}, found.pairs


@torch.no_grad()
def quality_at(
    name: str,
    embeddings: Float[Tensor, "rows width"],
    labels: Int[Tensor, " rows"],
    natural_groups: Int[Tensor, " rows"] | None,
    aggregator: Aggregator,
    protocol: Protocol,
) -> float:
    """One quality metric of :func:`evaluate`, the same value, for less work.

    Args:
        name: as ``map_at_r.size5`` or ``auc.points``.
        embeddings: of the points.
        labels: class index of each point.
        natural_groups: natural group of each point, inside which groups are drawn, or None.
        aggregator: is applied in evaluation mode.
        protocol: how groups are drawn.

    Raises:
        ValueError: if an evaluation has no such quality metric.
        TooFewGroupsError: if fewer than two classes make two groups of that size.
    """
    metric, _, place = name.partition(".")
    sizes = {"points": None, **{f"size{size}": size for size in protocol.sizes}}
    if metric not in MEASURES or place not in sizes:
        raise ValueError(
            f"a quality metric is one of {', '.join(sorted(MEASURES))}, then a point and one of "
            f"{', '.join(sizes)}; got {name}"
        )
    held_out = _HeldOut(embeddings, labels, natural_groups, aggregator, protocol)
    return held_out.measure(sizes[place], *MEASURES[metric])[name]


def drawn(
    labels: Int[Tensor, " rows"],
    natural_groups: Int[Tensor, " rows"] | None,
    protocol: Protocol,
    size: int | None,
    number: int = 0,
) -> Groups:
    """The groups of one draw of :func:`evaluate`; those of the first are what it bounds.

    Args:
        labels: class index of each point.
        natural_groups: natural group of each point, inside which groups are drawn, or None.
        protocol: how groups are drawn.
        size: points per group; None for the points themselves.
        number: of the draw, from 0.
    """
    generator = Generator().manual_seed(_seed(protocol.seed, size or 0, number))
    return draw_groups(labels, natural_groups if size else None, size or 1, generator)


@final
@dataclass(frozen=True)
class _HeldOut:
    """Points and how their groups are made; a size of None stands for the points themselves."""

    embeddings: Float[Tensor, "rows width"]
    labels: Int[Tensor, " rows"]
    natural_groups: Int[Tensor, " rows"] | None
    aggregator: Aggregator
    protocol: Protocol
    _known: dict[tuple[int | None, tuple[Measure, ...]], dict[str, float]] = field(
        default_factory=dict
    )

    def draw(self, size: int | None, number: int) -> Groups:
        """The groups of one draw."""
        return drawn(self.labels, self.natural_groups, self.protocol, size, number)

    def measure(self, size: int | None, *measures: Measure) -> dict[str, float]:
        """Quality metrics by name, means over the draws."""
        suffix = f"size{size}" if size else "points"
        means = self._means(None if size == 1 and self._has_points_as_groups else size, measures)
        return {f"{name}.{suffix}": value for name, value in means.items()}

    @cached_property
    def _has_points_as_groups(self) -> bool:
        """Whether the groups of one point are the points themselves, and so is their quality."""
        if self.natural_groups is not None:
            return False
        return torch.equal(aggregated(self.aggregator, self.embeddings[:, None]), self.embeddings)

    def _means(self, size: int | None, measures: tuple[Measure, ...]) -> dict[str, float]:
        """The same by short names, measured once."""
        if (size, measures) not in self._known:
            draws = [self._measured(size, number, measures) for number in range(self._draws(size))]
            means = {name: fmean(draw[name] for draw in draws) for name in draws[0]}
            self._known[size, measures] = means
        return self._known[size, measures]

    def _measured(
        self, size: int | None, number: int, measures: tuple[Measure, ...]
    ) -> dict[str, float]:
        groups = self.draw(size, number)
        metrics: dict[str, float] = {"left_out_classes": groups.left_out_classes}
        if measures:
            members = self.embeddings[groups.members]
            vectors = aggregated(self.aggregator, members) if size else members[:, 0]
            for measure in measures:
                metrics |= measure(vectors, groups.labels)._asdict()
        return metrics

    def _draws(self, size: int | None) -> int:
        # Every draw of single points gives the same groups, in another order.
        same = size is None or (size == 1 and self.natural_groups is None)
        return 1 if same else self.protocol.draws


def _seed(*parts: int) -> int:
    """A seed of its own for each draw, so that one can be drawn without the others."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0])
