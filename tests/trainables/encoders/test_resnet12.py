import pytest
import torch
from torch import nn

from trainables.encoders.resnet12 import Resnet12Encoder


def encoder(side=16, channels=4):
    torch.manual_seed(0)
    return Resnet12Encoder((1, side, side), width=7, channels=channels)


def test_four_blocks_of_three_convolutions_and_a_shortcut_each():
    sides = [m.kernel_size[0] for m in encoder().modules() if isinstance(m, nn.Conv2d)]
    assert sides == [3, 3, 3, 1] * 4


def test_maps_are_in_the_ratio_of_the_paper():
    outputs = [
        m.out_channels
        for m in encoder(channels=64).modules()
        if isinstance(m, nn.Conv2d) and m.kernel_size == (1, 1)
    ]
    assert outputs == [64, 160, 320, 640]


def test_a_block_follows_its_formula():
    block = encoder().blocks[0].eval()
    maps = torch.randn(3, 1, 8, 8)
    convolved, normalisation = maps, nn.functional.batch_norm
    layers = [m for m in block.convolved if isinstance(m, nn.Conv2d | nn.BatchNorm2d)]
    for place in range(0, 6, 2):
        convolved = nn.functional.conv2d(convolved, layers[place].weight, padding=1)
        statistics = layers[place + 1]
        convolved = normalisation(
            convolved, statistics.running_mean, statistics.running_var, eps=statistics.eps
        )
        if place < 4:
            convolved = torch.where(convolved > 0, convolved, 0.1 * convolved)
    summed = convolved + block.shortcut(maps)
    expected = nn.functional.max_pool2d(torch.where(summed > 0, summed, 0.1 * summed), 2)
    torch.testing.assert_close(block(maps), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("side", "last"), [(16, 1), (33, 2), (84, 5)])
def test_each_block_halves_the_sides_rounding_down(side, last):
    maps = encoder(side).eval().blocks(torch.rand(2, 1, side, side))
    assert maps.shape == (2, 40, last, last)


def test_the_embedding_is_an_affine_map_of_the_mean_over_places():
    network = encoder(33).eval()
    images = torch.rand(2, 1, 33, 33)
    expected = network.last(network.blocks(images).flatten(2).mean(2))
    torch.testing.assert_close(network(images).embedding, expected)
