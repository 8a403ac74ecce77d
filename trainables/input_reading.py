"""The bounds on groups of one class, read in the space of the raw points.

The theorem speaks of embeddings. An encoder with Lipschitz constant L stretches a distance of two
points by no more than L, so in every bound ``m* + ...`` what is added may be L times the same
quantity of the raw points: what is known before a point is encoded.
"""

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor, einsum

from trainables.aggregation import hull_weights
from trainables.bounds import Bound, pair_bounds
from trainables.contracts import HullAggregator
from trainables.gaps import Gaps
from trainables.grouping import Groups
from trainables.margin import GroupMargin, group_margin
from trainables.pairs import same_class_pairs

READ: tuple[Bound, ...] = ("t1_prime", "t4")
ROUNDING = 1e-5
"""Of an embedding's length: float32 encoders can stretch by this much more than in theory."""


@final
@dataclass(frozen=True)
class InputSpace:
    """Raw points and how far an encoder stretches their distances.

    Args:
        points: as the encoder sees them, in the order of their embeddings.
        lipschitz: a constant of the encoder, see :meth:`trainables.contracts.Encoder.lipschitz`.
    """

    points: Float[Tensor, "rows *shape"]
    lipschitz: float


class InputReading(NamedTuple):
    """Bounds read in the input space against the distances of groups of one size.

    ``means`` are over all pairs of groups of one class, in embedding units: ``input_t1_prime``,
    ``m* + L D`` with the theorem's D of the raw points, ``input_t4``, ``m* + L sum_ij alpha_i
    beta_j min(delta_i, delta_j)`` with their distances to other classes, and of each the gap,
    relative gap and tightness as in :class:`trainables.gaps.Gaps`. ``violations`` counts pairs and
    bounds.
    """

    means: dict[str, float]
    violations: int


@torch.no_grad()
def input_reading(
    inputs: InputSpace,
    groups: Groups,
    members: Float[Tensor, "groups points width"],
    aggregator: HullAggregator,
    found: Gaps,
) -> InputReading:
    """Reads the bounds of all pairs of groups of one class in the input space.

    Args:
        inputs: the raw points.
        groups: which of them each group has; some class has two groups.
        members: embeddings of the groups' points.
        aggregator: what makes the group embeddings.
        found: the bounds of the same groups in the embedding space.
    """
    weights = hull_weights(aggregator, members)
    assert weights is not None
    group_embeddings = einsum("gp,gpw->gw", weights, members.double())
    stretched = _stretched(inputs, groups, found)
    tolerance = ROUNDING * members.norm(dim=2).max()
    sums: Counter[str] = Counter()
    count = violations = 0
    for pairs in same_class_pairs(groups.labels):
        bounded = pair_bounds(stretched, pairs, weights, group_embeddings)
        count += len(pairs[0])
        for name in READ:
            violations += int((bounded.distance > bounded.bound(name) + tolerance).sum())
            measured = {
                "": bounded.bound(name),
                "_gap": bounded.gap(name),
                "_relative_gap": bounded.relative_gap(name),
                "_tightness": bounded.tightness(name),
            }
            sums.update({f"input_{name}{key}": v.sum().item() for key, v in measured.items()})
    return InputReading({name: total / count for name, total in sums.items()}, violations)


def _stretched(inputs: InputSpace, groups: Groups, found: Gaps) -> GroupMargin:
    """``m*`` and scale of the embeddings beside the distances that the raw points allow them."""
    raw = inputs.points.flatten(1)[groups.members]
    everywhere = torch.ones_like(groups.members, dtype=torch.bool)
    margin = group_margin(raw, everywhere, groups.labels)
    return margin._replace(
        m_star=margin.m_star.new_tensor(found.means["m_star"]),
        delta=inputs.lipschitz * margin.delta,
        reach=inputs.lipschitz * margin.reach,
        point_reach=inputs.lipschitz * margin.point_reach,
        scale=margin.scale.new_tensor(found.means["scale"]),
        m_squared=margin.m_squared.new_tensor(torch.nan),
    )
