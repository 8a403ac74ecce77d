from itertools import pairwise
from typing import Annotated, Literal, final

import torch
from annotated_types import Ge
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import relu
from torch.nn.utils import convert_conv2d_weight_memory_format

from trainables.contracts import Encoder, EncoderOutput, SearchAmong, no_image

Stem = Literal["small", "large"]
SMALLEST = 16


@final
class Resnet18Encoder(Encoder):
    """Four stages of two residual blocks of two 3 x 3 convolutions, then an affine map.

    He et al. (2016), "Deep residual learning for image recognition", table 1, with a 1 x 1
    convolution where a shortcut changes its size (their option B). Every stage but the first halves
    the sides, rounding up, and doubles the feature maps; the mean over places goes to the map.

    Args:
        shape: channels, height and width of an image, of at least 16 x 16.
        width: floats per embedding.
        channels: feature maps of the first stage.
        stem: what stands before the stages: ``large`` is the paper's 7 x 7 convolution and pooling,
            which quarter the sides, for images from about 64 x 64; ``small`` one 3 x 3 convolution
            that keeps them.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        width: Annotated[int, Ge(1), SearchAmong(32, 64, 128)] = 64,
        channels: Annotated[int, Ge(1), SearchAmong(16, 32, 64)] = 64,
        stem: Stem = "small",
    ) -> None:
        super().__init__(shape, width)
        maps = [channels, channels, 2 * channels, 4 * channels, 8 * channels]
        strides = [1, 2, 2, 2]
        self.stem = nn.Sequential(*_stem(shape[0], channels, stem))
        self.blocks = nn.Sequential(
            *(
                block
                for (inputs, outputs), stride in zip(pairwise(maps), strides, strict=True)
                for block in (_Block(inputs, outputs, stride), _Block(outputs, outputs, 1))
            )
        )
        # Convolutions on a CPU are faster with the channels innermost; maps follow the weights.
        convert_conv2d_weight_memory_format(self, torch.channels_last)
        self.last = nn.Linear(maps[-1], width)

    @classmethod
    def unfit(cls, shape: tuple[int, ...]) -> str | None:
        return no_image("resnet18", shape, SMALLEST, "linear or mlp")

    def forward(self, points: Float[Tensor, "batch *shape"]) -> EncoderOutput:
        return EncoderOutput(self.last(self.blocks(self.stem(points)).mean((2, 3))))


@final
class _Block(nn.Module):
    """``relu(f(x) + shortcut(x))``; f has two convolutions, of which the first takes the stride."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.convolved = nn.Sequential(
            *_normalised(inputs, outputs, 3, stride), nn.ReLU(), *_normalised(outputs, outputs, 3)
        )
        is_same = stride == 1 and inputs == outputs
        self.shortcut = nn.Sequential(*(() if is_same else _normalised(inputs, outputs, 1, stride)))

    def forward(
        self, maps: Float[Tensor, "batch inputs height width"]
    ) -> Float[Tensor, "batch outputs new_height new_width"]:
        return relu(self.convolved(maps) + self.shortcut(maps))


def _stem(inputs: int, outputs: int, stem: Stem) -> tuple[nn.Module, ...]:
    if stem == "small":
        return *_normalised(inputs, outputs, 3), nn.ReLU()
    return *_normalised(inputs, outputs, 7, stride=2), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1)


def _normalised(
    inputs: int, outputs: int, side: int, stride: int = 1
) -> tuple[nn.Module, nn.Module]:
    # Without a bias: batch normalisation takes the mean away, and the bias with it.
    convolution = nn.Conv2d(inputs, outputs, side, stride, padding=side // 2, bias=False)
    return convolution, nn.BatchNorm2d(outputs)
