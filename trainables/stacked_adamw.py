"""AdamW on the weights of several members at once, each with its own step size and decay."""

from collections.abc import Iterable, Sequence
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import AdamW

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8
"""As torch has them by default."""


@final
class StackedAdamW:
    """Takes over the weights and the state of optimisers, and steps all of them at once.

    Loshchilov and Hutter (2019), "Decoupled weight decay regularization", algorithm 2. Weights and
    moments lie in one row for each member. The tensors of the optimisers become views into them, so
    that each optimiser is always where it would be, had it stepped by itself.

    Args:
        optimizers: each of one group, with weights of the same shapes in the same order.
    """

    def __init__(self, optimizers: Sequence[AdamW]) -> None:
        groups = [optimizer.param_groups[0] for optimizer in optimizers]
        weights = [[p for p in group["params"] if p.requires_grad] for group in groups]
        self._shapes = [weight.shape for weight in weights[0]]
        self._sizes = [weight.numel() for weight in weights[0]]
        states = [
            [_state(optimizer, weight) for weight in of_member]
            for optimizer, of_member in zip(optimizers, weights, strict=True)
        ]
        self._steps, self._first, self._second = (
            _stacked([[state[name] for state in of_member] for of_member in states])
            for name in ("step", "exp_avg", "exp_avg_sq")
        )
        self._weights = _stacked(weights)
        self._rates, self._decays = (
            self._weights.new_tensor([[group[name]] for group in groups])
            for name in ("lr", "weight_decay")
        )

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
        scale = (self._second / (1 - BETA_2**steps)).sqrt_().add_(EPSILON)
        self._weights.mul_(1 - self._rates * self._decays * self._is_moved(gradients))
        self._weights.sub_(self._first / scale * (self._rates / (1 - BETA_1**steps)))

    def _parts(self) -> tuple[Tensor, ...]:
        parts: tuple[Tensor, ...] = self._weights.split(self._sizes, 1)
        return parts

    def _is_moved(self, gradients: Sequence[Tensor | None]) -> Tensor | float:
        if all(found is not None for found in gradients):
            return 1.0
        moved = torch.tensor([found is not None for found in gradients])
        return moved.repeat_interleave(torch.tensor(self._sizes)).to(self._weights)


def _state(optimizer: AdamW, weight: nn.Parameter) -> dict[str, Any]:
    """What an optimiser keeps of a weight, begun if it has not stepped."""
    state: dict[str, Any] = optimizer.state[weight]
    if not state:
        state["step"] = torch.tensor(0.0, device=weight.device)
        state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(weight), torch.zeros_like(weight)
    return state


def _stacked(rows: Sequence[Iterable[Tensor]]) -> Tensor:
    """Copies the tensors of each member into a row, and makes them views of it."""
    tensors = [list(row) for row in rows]
    stacked = torch.stack([torch.cat([t.detach().flatten() for t in row]) for row in tensors])
    for row, of_member in zip(stacked, tensors, strict=True):
        parts = row.split([tensor.numel() for tensor in of_member])
        for tensor, part in zip(of_member, parts, strict=True):
            tensor.data = part.view(tensor.shape)
    return stacked
