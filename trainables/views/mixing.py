from typing import Annotated, final

import torch
from annotated_types import Gt, Lt
from jaxtyping import Float
from torch import Generator, Tensor

from trainables.contracts import Search, Views


@final
class MixingViews(Views):
    """Moves each point part of the way to another point of the batch: ``x + share * (x' - x)``.

    Mixup of Zhang et al. (2018), "mixup: beyond empirical risk minimization", with the label kept
    instead of mixed: ``share`` is uniform in [0, strength] and always below one half, so that the
    point's own class outweighs the other's. ``x'`` is any other point, of its class or not.

    Args:
        shape: shape of one point.
        strength: largest share, in (0, 0.5), of the other point.
    """

    strength: Tensor

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        strength: Annotated[float, Gt(0), Lt(0.5), Search(0.05, 0.4)] = 0.2,
    ) -> None:
        super().__init__(shape)
        self.register_buffer("strength", torch.tensor(strength))

    def forward(
        self, points: Float[Tensor, "batch *shape"], generator: Generator
    ) -> Float[Tensor, "batch *shape"]:
        count, device = len(points), points.device
        share = torch.rand(count, generator=generator, device=device, dtype=points.dtype)
        # Steps of 1 to count - 1 around the batch never end where they began.
        steps = torch.randint(1, max(count, 2), (count,), generator=generator, device=device)
        others = points[(torch.arange(count, device=device) + steps) % count]
        shares = (self.strength * share).view(-1, *[1] * len(self.shape))
        return points + shares * (others - points)
