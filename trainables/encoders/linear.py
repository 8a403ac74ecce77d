from math import prod
from typing import Annotated, final

from annotated_types import Ge
from jaxtyping import Float
from torch import Tensor, nn

from trainables.contracts import Encoder, EncoderOutput, SearchAmong


@final
class LinearEncoder(Encoder):
    """An affine map of the flattened point: ``W x + b``.

    Args:
        shape: shape of one point.
        width: floats per embedding.
    """

    is_chain = True

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        width: Annotated[int, Ge(1), SearchAmong(32, 64, 128)] = 64,
    ) -> None:
        super().__init__(shape, width)
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(prod(shape), width))

    def forward(self, points: Float[Tensor, "batch *shape"]) -> EncoderOutput:
        return EncoderOutput(self.layers(points))
