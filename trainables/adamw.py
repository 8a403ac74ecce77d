"""AdamW, the optimiser of every member."""

from collections.abc import Iterable
from typing import final

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8
"""As torch has them by default."""
State = dict[str, list[Tensor]]
"""What is kept of every weight, by these names."""
KEPT = ("steps", "first", "second")
"""Steps taken, and the first and second moments of the gradients."""


@final
class AdamW:
    """Steps weights by their gradients, as :class:`torch.optim.AdamW` does with ``fused=True``.

    Loshchilov and Hutter (2019), "Decoupled weight decay regularization", algorithm 2. It calls the
    function which that class calls. The class itself loads torch's compiler into every process that
    trains, which takes seconds of each.

    Args:
        weights: to be moved; those that need no gradient are left out.
        rate: step size, positive.
        decay: decoupled weight decay, not negative.
    """

    def __init__(self, weights: Iterable[nn.Parameter], rate: float, decay: float) -> None:
        self.weights = [weight for weight in weights if weight.requires_grad]
        self.rate, self.decay = rate, decay
        tensors = [weight.detach() for weight in self.weights]
        self.state: State = {
            "steps": [torch.zeros((), device=tensor.device) for tensor in tensors],
            "first": [torch.zeros_like(tensor) for tensor in tensors],
            "second": [torch.zeros_like(tensor) for tensor in tensors],
        }

    def zero_grad(self) -> None:
        """Forgets the gradients."""
        for weight in self.weights:
            weight.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Moves the weights that have a gradient."""
        moved, gradients = [], []
        for place, weight in enumerate(self.weights):
            if weight.grad is not None:
                moved.append(place)
                gradients.append(weight.grad)
        steps, first, second = ([self.state[name][place] for place in moved] for name in KEPT)
        adamw(
            [self.weights[place] for place in moved],
            gradients,
            first,
            second,
            [],
            steps,
            fused=True,
            amsgrad=False,
            beta1=BETA_1,
            beta2=BETA_2,
            lr=self.rate,
            weight_decay=self.decay,
            eps=EPSILON,
            maximize=False,
        )

    def restore(self, state: State) -> None:
        """Continues with a copy of what :attr:`state` was."""
        self.state = {
            name: [
                tensor.to(weight.device, copy=True)
                for tensor, weight in zip(tensors, self.weights, strict=True)
            ]
            for name, tensors in state.items()
        }
