from typing import Annotated, final

import torch
from annotated_types import Gt
from jaxtyping import Float
from torch import Generator, Tensor

from trainables.contracts import Search, Views


@final
class NoiseViews(Views):
    """Adds independent normal noise to every feature or pixel: ``x + deviation * N(0, 1)``.

    Args:
        shape: shape of one point.
        deviation: standard deviation of the noise, in units of the data; pixels are in [0, 1].
    """

    deviation: Tensor

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        deviation: Annotated[float, Gt(0), Search(0.01, 0.5, log=True)] = 0.1,
    ) -> None:
        super().__init__(shape)
        self.register_buffer("deviation", torch.tensor(deviation))

    def forward(
        self, points: Float[Tensor, "batch *shape"], generator: Generator
    ) -> Float[Tensor, "batch *shape"]:
        noise = torch.randn(points.shape, generator=generator, device=points.device)
        return points + self.deviation * noise
