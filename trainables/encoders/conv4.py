from typing import Annotated, final

import torch
from annotated_types import Ge
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format

from trainables.contracts import Encoder, EncoderOutput, SearchAmong, no_image

SMALLEST = 16


@final
class Conv4Encoder(Encoder):
    """The four-block network of few-shot learning, then an affine map to the embedding.

    Four times a 3 x 3 convolution, batch normalisation, ReLU and 2 x 2 max-pooling: Vinyals et al.
    (2016), "Matching networks for one shot learning", section 4.1.1. For images of any size from
    16 x 16; each block halves the sides, rounding down.

    Args:
        shape: channels, height and width of an image.
        width: floats per embedding.
        channels: feature maps of each block.
    """

    is_chain = True

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        width: Annotated[int, Ge(1), SearchAmong(32, 64, 128)] = 64,
        channels: Annotated[int, Ge(1), SearchAmong(32, 64)] = 64,
    ) -> None:
        super().__init__(shape, width)
        inputs = [shape[0], *[channels] * 3]
        blocks = [block for count in inputs for block in _block(count, channels)]
        self.blocks = nn.Sequential(*blocks)
        # Convolutions on a CPU are faster with the channels innermost; maps follow the weights.
        convert_conv2d_weight_memory_format(self.blocks, torch.channels_last)
        self.last = nn.Linear(channels * (shape[1] // 16) * (shape[2] // 16), width)

    @classmethod
    def unfit(cls, shape: tuple[int, ...]) -> str | None:
        return no_image("conv4", shape, SMALLEST, "linear or mlp")

    def forward(self, points: Float[Tensor, "batch *shape"]) -> EncoderOutput:
        return EncoderOutput(self.last(self.blocks(points).flatten(1)))


def _block(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    # Without a bias: batch normalisation takes the mean away, and the bias with it.
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    return convolution, nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2)
