from typing import Annotated, final

import torch
from annotated_types import Gt, Lt
from jaxtyping import Float
from torch import Generator, Tensor

from trainables.contracts import Search, Views


@final
class DropoutViews(Views):
    """Sets each feature or pixel to 0 with probability ``rate``; the others keep their value.

    Args:
        shape: shape of one point.
        rate: probability, in (0, 1), that a feature or pixel is lost.
    """

    rate: Tensor

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        rate: Annotated[float, Gt(0), Lt(1), Search(0.05, 0.5)] = 0.2,
    ) -> None:
        super().__init__(shape)
        self.register_buffer("rate", torch.tensor(rate))

    def forward(
        self, points: Float[Tensor, "batch *shape"], generator: Generator
    ) -> Float[Tensor, "batch *shape"]:
        chance = torch.rand(points.shape, generator=generator, device=points.device)
        return points * (chance >= self.rate)
