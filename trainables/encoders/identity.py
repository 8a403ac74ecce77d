from math import prod
from typing import final

from jaxtyping import Float
from torch import Tensor

from trainables.contracts import Encoder, EncoderOutput


@final
class IdentityEncoder(Encoder):
    """The flattened point itself: for features that another model has computed before.

    It learns nothing and its width is that of the points, so the aggregator has to learn.

    Args:
        shape: shape of one point.
    """

    is_chain = True

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__(shape, prod(shape))

    def forward(self, points: Float[Tensor, "batch *shape"]) -> EncoderOutput:
        return EncoderOutput(points.flatten(1))
