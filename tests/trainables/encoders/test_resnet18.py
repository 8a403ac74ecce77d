import pytest
import torch
from torch import nn

from trainables.encoders.resnet18 import Resnet18Encoder


def encoder(side=32, channels=4, stem="small"):
    torch.manual_seed(0)
    return Resnet18Encoder((3, side, side), width=7, channels=channels, stem=stem)


def convolutions(network):
    return [module for module in network.modules() if isinstance(module, nn.Conv2d)]


@pytest.mark.parametrize(("stem", "side"), [("small", 3), ("large", 7)])
def test_eighteen_layers_and_three_shortcuts(stem, side):
    sides = [module.kernel_size[0] for module in convolutions(encoder(stem=stem))]
    assert sides[0] == side
    assert sides.count(1) == 3
    # With the affine map at the end, eighteen have weights on the longest way.
    assert len(sides) - 3 + 1 == 18


def test_stages_double_the_maps():
    network = encoder(channels=64)
    outputs = [block.convolved[0].out_channels for block in network.blocks]
    assert outputs == [64, 64, 128, 128, 256, 256, 512, 512]


@pytest.mark.parametrize(
    ("stem", "side", "last"), [("small", 32, 4), ("small", 17, 3), ("large", 64, 2)]
)
def test_sides_are_halved_by_all_stages_but_the_first(stem, side, last):
    network = encoder(side, stem=stem).eval()
    maps = network.blocks(network.stem(torch.rand(2, 3, side, side)))
    assert maps.shape == (2, 32, last, last)


@pytest.mark.parametrize("place", [0, 2])
def test_a_block_adds_its_input_or_what_the_shortcut_makes_of_it(place):
    block = encoder().blocks[place].eval()
    maps = torch.randn(2, block.convolved[0].in_channels, 8, 8)
    kept = block.shortcut(maps) if len(block.shortcut) else maps
    assert (len(block.shortcut) > 0) == (place == 2)
    expected = (block.convolved(maps) + kept).clamp_min(0)
    torch.testing.assert_close(block(maps), expected)


def test_the_embedding_is_an_affine_map_of_the_mean_over_places():
    network = encoder().eval()
    images = torch.rand(2, 3, 32, 32)
    maps = network.blocks(network.stem(images))
    expected = network.last(maps.flatten(2).mean(2))
    torch.testing.assert_close(network(images).embedding, expected)
