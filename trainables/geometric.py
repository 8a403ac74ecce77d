"""Aggregations of torch_geometric, made for a width with the options that a study may search.

Options have the library's names and, where it has any, its defaults. Left out are ``fill_value``,
without effect on groups that hold a point, ``concat``, which changes the width, ``channels``, which
stays 1, ``layer_norm``, which is on as in the papers, and ``semi_grad``, whose gradients are not
those of the result. Networks, where the library wants some, have ``hidden`` floats between their
layers.
"""

from math import gcd
from typing import Annotated, Literal, final

from annotated_types import Ge, Le, Lt
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch_geometric.nn import aggr

from trainables.contracts import Search, SearchAmong

Blocks = Annotated[int, Ge(0), SearchAmong(0, 1, 2)]
Dropout = Annotated[float, Ge(0), Lt(1)]
Heads = Annotated[int, Ge(1), SearchAmong(1, 2, 4)]
Hidden = Annotated[int, Ge(1), SearchAmong(32, 64, 128)]
Steps = Annotated[int, Ge(2), SearchAmong(2, 3, 4)]


def attentional(width: int, *, hidden: Hidden = 64) -> nn.Module:
    """One gate per member, ``softmax_i(w . tanh(V e_i + b))``; the values are the embeddings.

    The gate looks at the first ``width`` features only, so that members may be marked in others.

    Args:
        width: floats per embedding.
        hidden: floats between the two layers of the gate.
    """
    # Without a bias: a softmax does not see what is added to all of its arguments.
    score = nn.Linear(hidden, 1, bias=False)
    gate = nn.Sequential(_Leading(width), nn.Linear(width, hidden), nn.Tanh(), score)
    aggregation: nn.Module = aggr.AttentionalAggregation(gate)
    return aggregation


def deep_sets(width: int, *, hidden: Hidden = 64) -> nn.Module:
    """``rho(sum_i phi(e_i))``, where ``phi`` and ``rho`` are two layers with ReLU between.

    Args:
        width: floats per embedding.
        hidden: floats between the layers, and of what is summed.
    """
    # Without a last bias: it would shift all groups alike, which their distances do not see.
    last = nn.Linear(hidden, width, bias=False)
    local = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, hidden))
    whole = nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(), last)
    aggregation: nn.Module = aggr.DeepSetsAggregation(local, whole)
    return aggregation


def graph_multiset_transformer(
    width: int,
    *,
    k: Annotated[int, Ge(1), SearchAmong(2, 4, 8)] = 4,
    num_encoder_blocks: Blocks = 1,
    heads: Heads = 1,
    dropout: Dropout = 0.0,
) -> nn.Module:
    """Attention to ``k`` representatives of a group, among them, and to one of them all.

    Args:
        width: floats per embedding.
        k: representatives of a group.
        num_encoder_blocks: blocks of self-attention among the representatives.
        heads: attention heads; of a width that is no multiple, the largest common divisor.
        dropout: share of attention weights that training drops.
    """
    options = (k, num_encoder_blocks, gcd(heads, width), True, dropout)
    return _without_shift(aggr.GraphMultisetTransformer(width, *options))


def multi(
    width: int,
    *,
    mode: Literal["proj", "attn", "sum", "mean", "max", "min", "logsumexp", "var"] = "proj",
) -> nn.Module:
    """Mean, largest and smallest value and standard deviation of each feature, combined.

    These four are the choice of Corso et al. (2020), "Principal neighbourhood aggregation for graph
    nets". The library's ``cat`` changes the width, its ``std`` has no gradient where all are equal.

    Args:
        width: floats per embedding.
        mode: how the four are combined; proj is a linear map, attn attention among them.
    """
    mapped = {"in_channels": width, "out_channels": width, "bias": False}
    of_mode = mapped if mode in ("proj", "attn") else None
    four = ["mean", "max", "min", "std"]
    aggregation: nn.Module = aggr.MultiAggregation(four, mode=mode, mode_kwargs=of_mode)
    return aggregation


def power_mean(
    width: int,
    *,
    p: Annotated[float, Ge(0.1), Le(10), Search(1.0, 4.0, log=True)] = 1.0,
    learn: bool = False,
    clamp_min: Annotated[float, Ge(1e-30), Le(1)] = 1e-4,
    clamp_max: Annotated[float, Ge(1), Le(100)] = 100.0,
) -> nn.Module:
    """``(mean_i e_i^p)^(1/p)`` per feature, where features and the mean are both clamped.

    The mean of the powers is clamped by the same limits as the features: at ``p = 4``, results lie
    above ``clamp_min^(1/4)``. A power of 1 that is not learned clamps nothing.

    Args:
        width: floats per embedding.
        p: the power, before training where it learns.
        learn: whether training changes the power.
        clamp_min: smaller features, and smaller means of their powers, count as this.
        clamp_max: larger features, and larger means of their powers, count as this.
    """
    aggregation: nn.Module = aggr.PowerMeanAggregation(p, learn, 1, clamp_min, clamp_max)
    return aggregation


def quantile(
    width: int,
    *,
    q: Annotated[float, Ge(0), Le(1), Search(0.0, 1.0)] = 0.5,
    interpolation: Literal["linear", "lower", "higher", "nearest", "midpoint"] = "linear",
) -> nn.Module:
    """The quantile of each feature among the members.

    The library adds the points before a group to the place of its quantile and rounds the sum, so
    that a group's result depends on the others of its batch: ``nearest`` by up to a whole step.
    Hence groups of one size are handed over side by side, each from place 0.

    Args:
        width: floats per embedding.
        q: from 0, the smallest value, to 1, the largest.
        interpolation: what is taken between two members.
    """
    return _SideBySide(aggr.QuantileAggregation(q, interpolation))


def set2set(width: int, *, processing_steps: Steps = 3) -> nn.Module:
    """Attention of queries that an LSTM derives from the attention before.

    The last query and what it attends to, ``2 width`` floats, are mapped back to ``width``. One
    step would leave the recurrence idle: the first query is asked before the group is seen.

    Args:
        width: floats per embedding.
        processing_steps: queries, one after the other.
    """
    return _Mapped(aggr.Set2Set(width, processing_steps), nn.Linear(2 * width, width, bias=False))


def set_transformer(
    width: int,
    *,
    num_seed_points: Annotated[int, Ge(1), SearchAmong(1, 2, 4)] = 1,
    num_encoder_blocks: Blocks = 1,
    num_decoder_blocks: Blocks = 1,
    heads: Heads = 1,
    dropout: Dropout = 0.0,
) -> nn.Module:
    """Attention among the members, of seeds to the members, and among the seeds; their mean.

    Args:
        width: floats per embedding.
        num_seed_points: learned queries to the members.
        num_encoder_blocks: blocks of self-attention among the members.
        num_decoder_blocks: blocks of self-attention among the seeds.
        heads: attention heads; of a width that is no multiple, the largest common divisor.
        dropout: share of attention weights that training drops.
    """
    blocks = (num_seed_points, num_encoder_blocks, num_decoder_blocks)
    options = (gcd(heads, width), False, True, dropout)
    return _without_shift(aggr.SetTransformerAggregation(width, *blocks, *options))


def softmax(
    width: int,
    *,
    t: Annotated[float, Ge(0.01), Le(100), Search(0.1, 10.0, log=True)] = 1.0,
    learn: bool = False,
) -> nn.Module:
    """Weighted mean of each feature, with weights ``softmax_i(t e_i)`` of its own.

    Args:
        width: floats per embedding.
        t: inverse temperature, before training where it learns.
        learn: whether training changes the temperature.
    """
    aggregation: nn.Module = aggr.SoftmaxAggregation(t, learn)
    return aggregation


def _without_shift(transformer: nn.Module) -> nn.Module:
    """The transformer without its very last bias.

    It would shift all groups alike, which their distances do not see. Blocks that do not normalise
    their results have several that come close to it.
    """
    *_, last = (part for part in transformer.modules() if isinstance(part, nn.LayerNorm))
    last.register_parameter("bias", None)
    return transformer


@final
class _Leading(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, members: Float[Tensor, "batch more"]) -> Float[Tensor, "batch width"]:
        return members[:, : self.width]


@final
class _SideBySide(nn.Module):
    def __init__(self, aggregation: nn.Module) -> None:
        super().__init__()
        self.aggregation = aggregation

    def forward(
        self, members: Float[Tensor, "batch width"], index: Int[Tensor, " batch"], dim_size: int
    ) -> Float[Tensor, "groups width"]:
        sizes = index.bincount(minlength=dim_size)
        result = members.new_empty(dim_size, members.shape[1])
        for size in sizes.unique().tolist():
            chosen = sizes == size
            groups = members[chosen[index]].unflatten(0, (-1, size))
            found = self.aggregation(groups.transpose(0, 1).flatten(1))
            result[chosen] = found.view_as(groups[:, 0])
        return result


@final
class _Mapped(nn.Module):
    def __init__(self, aggregation: nn.Module, last: nn.Module) -> None:
        super().__init__()
        self.aggregation, self.last = aggregation, last

    def forward(
        self, members: Float[Tensor, "batch width"], index: Int[Tensor, " batch"], dim_size: int
    ) -> Float[Tensor, "groups width"]:
        mapped: Tensor = self.last(self.aggregation(members, index, dim_size=dim_size))
        return mapped
