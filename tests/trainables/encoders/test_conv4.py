import pytest
import torch
from torch import nn

from trainables import catalogue
from trainables.encoders.conv4 import Conv4Encoder


def naive_block(maps, weight):
    """Convolution by shifted sums, batch normalisation, ReLU, and pooling by 2 x 2 blocks."""
    _, _, height, width = maps.shape
    padded = torch.zeros(*maps.shape[:2], height + 2, width + 2)
    padded[:, :, 1:-1, 1:-1] = maps
    convolved = sum(
        torch.einsum(
            "bihw,oi->bohw", padded[:, :, y : y + height, x : x + width], weight[..., y, x]
        )
        for y in range(3)
        for x in range(3)
    )
    mean = convolved.mean((0, 2, 3), keepdim=True)
    variance = (convolved - mean).square().mean((0, 2, 3), keepdim=True)
    positive = ((convolved - mean) / (variance + 1e-5).sqrt()).clamp_min(0)
    kept = positive[:, :, : height // 2 * 2, : width // 2 * 2]
    blocks = kept.unflatten(3, (-1, 2)).unflatten(2, (-1, 2))
    return blocks.amax((3, 5))


@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 17, 33)])
def test_it_follows_the_description(shape):
    encoder = Conv4Encoder(shape, width=5, channels=4)
    images = torch.rand(3, *shape)
    maps = images
    for layer in encoder.blocks:
        if isinstance(layer, nn.Conv2d):
            maps = naive_block(maps, layer.weight)
    expected = maps.flatten(1) @ encoder.last.weight.T + encoder.last.bias
    torch.testing.assert_close(encoder(images).embedding, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "places"), [((1, 16, 16), 1), ((3, 28, 28), 1), ((1, 33, 33), 4), ((1, 105, 105), 36)]
)
def test_each_block_halves_the_sides_rounding_down(shape, places):
    assert Conv4Encoder(shape, channels=8).last.in_features == 8 * places


def test_it_has_four_convolutions_of_as_many_channels():
    encoder = Conv4Encoder((3, 16, 16), channels=7)
    convolutions = [layer for layer in encoder.blocks if isinstance(layer, nn.Conv2d)]
    assert [tuple(layer.weight.shape) for layer in convolutions] == [(7, 3, 3, 3)] + [
        (7, 7, 3, 3)
    ] * 3


def test_what_batch_normalisation_takes_away_is_not_learned():
    convolutions = [
        layer for layer in Conv4Encoder((1, 16, 16)).blocks if isinstance(layer, nn.Conv2d)
    ]
    assert all(layer.bias is None for layer in convolutions)


@pytest.mark.parametrize(
    ("shape", "words"), [((64,), "64"), ((1, 15, 28), "1 x 15 x 28"), ((3, 28, 15), "3 x 28 x 15")]
)
def test_points_that_are_no_images_of_16_x_16_are_refused(shape, words):
    assert Conv4Encoder.unfit(shape) == (
        f"conv4 needs images of at least 16 x 16, got points of shape {words}; use linear or mlp"
    )


@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 16, 200)])
def test_images_of_at_least_16_x_16_fit(shape):
    assert Conv4Encoder.unfit(shape) is None


@pytest.mark.parametrize(("option", "value"), [("channels", 0), ("width", 0)])
def test_options_are_at_least_1(option, value):
    legal = catalogue.options(Conv4Encoder)[option]
    assert legal.problem(value) is not None
    assert legal.problem(value + 1) is None
