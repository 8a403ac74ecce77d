"""The momentum teacher: a slow copy of the model that encodes the second view of a step."""

from copy import deepcopy
from typing import final

import torch
from torch import Tensor

from trainables.model import GroupModel


@final
class Teacher:
    """Follows a model: ``teacher <- momentum * teacher + (1 - momentum) * model``, each step.

    He et al. (2020), "Momentum contrast", eq. 2. Buffers, such as the running statistics of batch
    normalisation, are the teacher's own.

    Args:
        model: what it begins as a copy of.
    """

    def __init__(self, model: GroupModel) -> None:
        self.model = deepcopy(model).requires_grad_(False)

    @torch.no_grad()
    def follow(self, model: GroupModel, momentum: Tensor) -> None:
        """Moves every parameter towards the model's."""
        pairs = zip(self.model.parameters(), model.parameters(), strict=True)
        for own, followed in pairs:
            own.mul_(momentum).add_(followed * (1 - momentum))

    def copy(self, model: GroupModel) -> None:
        """Takes over every parameter of the model."""
        self.follow(model, torch.tensor(0.0))
