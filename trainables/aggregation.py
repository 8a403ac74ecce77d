"""Applies an aggregator to many groups of one size, as an evaluation does."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Bool, Float
from torch import Generator, Tensor

from trainables.contracts import Aggregator, HullAggregator

CHUNK = 2**20
"""Most floats that an aggregator is given at once."""
NO_GRADIENT = 1e-5


def aggregated(
    aggregator: Aggregator, members: Float[Tensor, "groups points width"]
) -> Float[Tensor, "groups width"]:
    """Group embeddings in evaluation mode; the aggregator sees float32."""
    with _evaluating(aggregator):
        return _in_chunks(aggregator, members)


def hull_weights(
    aggregator: Aggregator, members: Float[Tensor, "groups points width"]
) -> Float[Tensor, "groups points"] | None:
    """Weight of each member in its group embedding, in float64; None outside the hull.

    Float32 weights miss a sum of 1 by their rounding, enough for a distance to exceed a bound that
    holds with equality: they are divided by their sum.
    """
    if not isinstance(aggregator, HullAggregator):
        return None
    with _evaluating(aggregator):
        weights = _in_chunks(aggregator.weights, members).double()
    return weights / weights.sum(1, keepdim=True)


def learns_from(aggregator: Aggregator, points: int) -> bool:
    """Whether the members and every parameter of an aggregator shape its result for such groups."""
    generator = Generator().manual_seed(0)
    members = torch.randn(8, points, aggregator.width, generator=generator).requires_grad_()
    # Without a target, results of length 1 would be all alike.
    target = torch.randn(8, aggregator.width, generator=generator)
    result = aggregator(members, torch.ones(8, points, dtype=torch.bool))
    (result - target).square().sum().backward()
    gradients = [learned.grad for learned in (members, *aggregator.parameters())]
    # Where a parameter cancels out, rounding leaves a gradient that is small and not 0.
    return all(g is not None and bool(g.abs().max() > NO_GRADIENT) for g in gradients)


def _in_chunks(
    apply: Callable[[Tensor, Bool[Tensor, "groups points"]], Tensor],
    members: Float[Tensor, "groups points width"],
) -> Tensor:
    chunk = max(1, CHUNK // members[0].numel())
    parts = torch.split(members.float(), chunk)
    return torch.cat(
        [
            apply(part, torch.ones(part.shape[:2], dtype=torch.bool, device=part.device))
            for part in parts
        ]
    )


@contextmanager
def _evaluating(aggregator: Aggregator) -> Iterator[None]:
    was_training = aggregator.training
    aggregator.eval()
    try:
        yield
    finally:
        aggregator.train(was_training)
