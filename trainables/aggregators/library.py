"""Aggregators of torch_geometric by their own names, through one adapter.

``library-SoftmaxAggregation`` is one of ``torch_geometric.nn.aggr``; Fey and Lenssen (2019), "Fast
graph representation learning with PyTorch Geometric". How they are made for a width, and with
which options, ``trainables.geometric`` says. Not offered are those by which a group's embedding
depends on the order of its points or on the other groups of a batch.
"""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch_geometric.nn import aggr

from trainables import geometric
from trainables.contracts import Aggregator, HullAggregator

BY_FEATURE = "each feature is taken by itself, so only sqrt(width) times the theorem's bound holds"
LAYERS = "attention and layers map the members to places of their own"
ORDER = "depends on the order of a group's points, and on the sizes of the others of a batch"
REFUSED = {
    "Aggregation": "is no aggregator by itself",
    "DegreeScalerAggregation": "needs the sizes of all training groups",
    "EquilibriumAggregation": "gives a group another embedding beside other groups in a batch",
    "GRUAggregation": ORDER,
    "LCMAggregation": ORDER,
    "LSTMAggregation": ORDER,
    "MLPAggregation": "depends on the order of a group's points",
    "MinAggregation": "is library-QuantileAggregation with q: 0",
    "MulAggregation": "vanishes or overflows as groups grow",
    "PatchTransformerAggregation": ORDER,
    "SortAggregation": "keeps a fixed number of points, whatever a group has",
    "SumAggregation": "is the mean times the number of points, which tells groups apart by size",
    "VarAggregation": "is the square of library-StdAggregation",
}
"""What is not offered, and why."""


@final
class LibraryAggregator(Aggregator):
    """An aggregator of the library as ours; its component says why it may leave the hull.

    Args:
        width: floats per embedding, unchanged.
        aggregation: called with the real points, group after group, and the group of each.
    """

    tensor_program = False
    outside_hull = "no aggregator of the library but two gives a member one weight"

    def __init__(self, width: int, aggregation: nn.Module) -> None:
        super().__init__(width)
        self.aggregation = aggregation

    def forward(
        self, embeddings: Float[Tensor, "groups points width"], mask: Bool[Tensor, "groups points"]
    ) -> Float[Tensor, "groups width"]:
        return _aggregated(self.aggregation, embeddings, mask)


@final
class LibraryHullAggregator(HullAggregator):
    """A convex combination of the library as ours, in which a member has one weight.

    The weights are read off: members are given further features, 1 at their own place and 0 at
    those of the others, and the same combination of these is the weights.

    Args:
        width: floats per embedding, unchanged.
        aggregation: called with the real points, group after group, and the group of each; what it
            makes of the first ``width`` features must not depend on further ones.
    """

    tensor_program = False

    def __init__(self, width: int, aggregation: nn.Module) -> None:
        super().__init__(width)
        self.aggregation = aggregation

    def weights(
        self, embeddings: Float[Tensor, "groups points width"], mask: Bool[Tensor, "groups points"]
    ) -> Float[Tensor, "groups points"]:
        groups, points, width = embeddings.shape
        places = torch.eye(points).to(embeddings).expand(groups, -1, -1)
        marked = torch.cat([embeddings, places], 2)
        return _aggregated(self.aggregation, marked, mask)[:, width:]


def _aggregated(
    aggregation: nn.Module,
    features: Float[Tensor, "groups points features"],
    mask: Bool[Tensor, "groups points"],
) -> Float[Tensor, "groups features"]:
    group = mask.nonzero()[:, 0]
    result: Tensor = aggregation(features[mask], group, dim_size=mask.shape[0])
    return result.to(features.dtype)


class _Lent(NamedTuple):
    """Why the theorem does not cover an aggregator, and what makes it where it has options."""

    outside_hull: str | None
    make: Callable[..., nn.Module] | None = None


LENT = {
    "AttentionalAggregation": _Lent(None, geometric.attentional),
    "DeepSetsAggregation": _Lent(
        "the layers after the sum may move it anywhere", geometric.deep_sets
    ),
    "GraphMultisetTransformer": _Lent(LAYERS, geometric.graph_multiset_transformer),
    "MaxAggregation": _Lent(BY_FEATURE),
    "MeanAggregation": _Lent(None),
    "MedianAggregation": _Lent(BY_FEATURE),
    "MultiAggregation": _Lent("it mixes mean, extremes and spread", geometric.multi),
    "PowerMeanAggregation": _Lent("powers and clamps bend each feature", geometric.power_mean),
    "QuantileAggregation": _Lent(BY_FEATURE, geometric.quantile),
    "Set2Set": _Lent(LAYERS, geometric.set2set),
    "SetTransformerAggregation": _Lent(LAYERS, geometric.set_transformer),
    "SoftmaxAggregation": _Lent(BY_FEATURE, geometric.softmax),
    "StdAggregation": _Lent("it is the spread of the members, no place among them"),
    "VariancePreservingAggregation": _Lent(
        "it is sqrt(n) times the mean of n members, as is the bound where groups have n"
    ),
}


@final
class LibraryComponent:
    """An aggregator of the library, to be built as the platform builds aggregators.

    Args:
        name: of its class.
    """

    def __init__(self, name: str) -> None:
        self.outside_hull, make = LENT[name]
        self._make = make or partial(_plain, name)
        self.__signature__ = inspect.signature(self._make)
        self.__doc__ = f"{name} of torch_geometric.\n\n{inspect.getdoc(make) or ''}"

    def __call__(self, width: int, **options: Any) -> Aggregator:
        aggregation = self._make(width, **options)
        if self.outside_hull is None:
            return LibraryHullAggregator(width, aggregation)
        return LibraryAggregator(width, aggregation)


def _plain(name: str, width: int) -> nn.Module:
    aggregation: nn.Module = getattr(aggr, name)()
    return aggregation


def offered() -> list[str]:
    """Names of the aggregators, sorted."""
    return sorted(LENT)


def component(name: str) -> LibraryComponent | None:
    """The component of a name such as ``SoftmaxAggregation``, or None without one."""
    return LibraryComponent(name) if name in LENT else None
