from itertools import pairwise
from typing import Annotated, final

import torch
from annotated_types import Ge
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import leaky_relu
from torch.nn.utils import convert_conv2d_weight_memory_format

from trainables.contracts import Encoder, EncoderOutput, SearchAmong, no_image

SMALLEST = 16
SLOPE = 0.1


@final
class Resnet12Encoder(Encoder):
    """The residual network of few-shot learning, then an affine map to the embedding.

    Four blocks of three 3 x 3 convolutions, whose feature maps are in ratio 1 : 2.5 : 5 : 10, and
    the mean over places: Oreshkin et al. (2018), "TADAM", section 3.1, as made wider by Lee et al.
    (2019), "Meta-learning with differentiable convex optimization", section 4.1, who have 64, 160,
    320 and 640 maps; without their DropBlock. For images of any size from 16 x 16; each block
    halves the sides, rounding down.

    Args:
        shape: channels, height and width of an image.
        width: floats per embedding.
        channels: feature maps of the first block.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        width: Annotated[int, Ge(1), SearchAmong(32, 64, 128)] = 64,
        channels: Annotated[int, Ge(1), SearchAmong(16, 32, 64)] = 64,
    ) -> None:
        super().__init__(shape, width)
        maps = [shape[0], channels, channels * 5 // 2, channels * 5, channels * 10]
        self.blocks = nn.Sequential(*(_Block(*ends) for ends in pairwise(maps)))
        # Convolutions on a CPU are faster with the channels innermost; maps follow the weights.
        convert_conv2d_weight_memory_format(self.blocks, torch.channels_last)
        self.last = nn.Linear(maps[-1], width)

    @classmethod
    def unfit(cls, shape: tuple[int, ...]) -> str | None:
        return no_image("resnet12", shape, SMALLEST, "linear or mlp")

    def forward(self, points: Float[Tensor, "batch *shape"]) -> EncoderOutput:
        return EncoderOutput(self.last(self.blocks(points).mean((2, 3))))


@final
class _Block(nn.Module):
    """``pool(leaky(f(x) + shortcut(x)))``, where f has three convolutions."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convolved = nn.Sequential(
            *_normalised(inputs, outputs, 3),
            nn.LeakyReLU(SLOPE),
            *_normalised(outputs, outputs, 3),
            nn.LeakyReLU(SLOPE),
            *_normalised(outputs, outputs, 3),
        )
        self.shortcut = nn.Sequential(*_normalised(inputs, outputs, 1))
        self.pool = nn.MaxPool2d(2)

    def forward(
        self, maps: Float[Tensor, "batch inputs height width"]
    ) -> Float[Tensor, "batch outputs half_height half_width"]:
        pooled: Tensor = self.pool(leaky_relu(self.convolved(maps) + self.shortcut(maps), SLOPE))
        return pooled


def _normalised(inputs: int, outputs: int, side: int) -> tuple[nn.Module, nn.Module]:
    # Without a bias: batch normalisation takes the mean away, and the bias with it.
    convolution = nn.Conv2d(inputs, outputs, side, padding=side // 2, bias=False)
    return convolution, nn.BatchNorm2d(outputs)
