"""AdamW on the weights of several members at once, each with its own step size and decay."""

from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from trainables.adamw import BETA_1, BETA_2, EPSILON, KEPT, AdamW

LEAST = 1e-32
"""Roots of smaller numbers are lost beside epsilon, and take the processor several times longer:
what never had a gradient, or has none any more."""


@final
class StackedAdamW:
    """Takes over the weights and the state of optimisers, and steps all of them at once.

    Weights and moments lie in one row for each member. The tensors of the optimisers become views
    into them, so that each optimiser is always where it would be, had it stepped by itself.

    Args:
        optimizers: with weights of the same shapes in the same order.
    """

    def __init__(self, optimizers: Sequence[AdamW]) -> None:
        self._shapes = [weight.shape for weight in optimizers[0].weights]
        self._sizes = [weight.numel() for weight in optimizers[0].weights]
        self._weights = _stacked([optimizer.weights for optimizer in optimizers])
        self._steps, self._first, self._second = (
            _stacked([optimizer.state[name] for optimizer in optimizers]) for name in KEPT
        )
        self._rates = self._weights.new_tensor([[optimizer.rate] for optimizer in optimizers])
        self._decays = self._weights.new_tensor([[optimizer.decay] for optimizer in optimizers])

    def stacks(self) -> list[Float[Tensor, "members ..."]]:
        """The weights of all members, one tensor for each of a member's, to differentiate by."""
        return [
            part.detach().unflatten(1, shape or (1,)).view(-1, *shape).requires_grad_()
            for part, shape in zip(self._parts(), self._shapes, strict=True)
        ]

    @torch.no_grad()
    def step(self, gradients: Sequence[Float[Tensor, "members ..."] | None]) -> None:
        """Moves all weights; those without a gradient stay where they are."""
        gradient = torch.cat(
            [
                torch.zeros_like(part) if found is None else found.reshape(part.shape)
                for found, part in zip(gradients, self._parts(), strict=True)
            ],
            1,
        )
        self._steps += 1
        steps = self._steps[:, :1].to(gradient.dtype)
        self._first.lerp_(gradient, 1 - BETA_1)
        self._second.mul_(BETA_2).addcmul_(gradient, gradient, value=1 - BETA_2)
        scale = (
            self._second.clamp_min(LEAST).sqrt_().mul_((1 - BETA_2**steps).rsqrt()).add_(EPSILON)
        )
        moved = self._first * (self._rates / (1 - BETA_1**steps))
        self._weights.mul_(1 - self._rates * self._decays * self._is_moved(gradients))
        self._weights.addcdiv_(moved, scale, value=-1)

    def _parts(self) -> tuple[Tensor, ...]:
        parts: tuple[Tensor, ...] = self._weights.split(self._sizes, 1)
        return parts

    def _is_moved(self, gradients: Sequence[Tensor | None]) -> Tensor | float:
        if all(found is not None for found in gradients):
            return 1.0
        moved = torch.tensor([found is not None for found in gradients])
        return moved.repeat_interleave(torch.tensor(self._sizes)).to(self._weights)


def _stacked(tensors: Sequence[Sequence[Tensor]]) -> Tensor:
    """Copies the tensors of each member into a row, and makes them views of it."""
    stacked = torch.stack([torch.cat([t.detach().flatten() for t in row]) for row in tensors])
    for row, of_member in zip(stacked, tensors, strict=True):
        parts = row.split([tensor.numel() for tensor in of_member])
        for tensor, part in zip(of_member, parts, strict=True):
            tensor.data = part.view(tensor.shape)
    return stacked
