import pytest
import torch

from trainables import catalogue
from trainables.encoders.linear import LinearEncoder


def test_an_affine_map_worked_by_hand():
    encoder = LinearEncoder((2,), width=1)
    with torch.no_grad():
        encoder.layers[1].weight.copy_(torch.tensor([[2.0, -1.0]]))
        encoder.layers[1].bias.fill_(0.5)
    output = encoder(torch.tensor([[1.0, 3.0], [0.0, 0.0]]))
    assert output.embedding.tolist() == [[-0.5], [0.5]]
    assert output.group_logits is None


def test_images_are_flattened_in_the_order_channels_height_width():
    encoder = LinearEncoder((2, 3, 4), width=5)
    images = torch.randn(6, 2, 3, 4)
    layer = encoder.layers[1]
    rows = [
        [image[c, y, x] for c in range(2) for y in range(3) for x in range(4)] for image in images
    ]
    expected = torch.tensor(rows) @ layer.weight.T + layer.bias
    torch.testing.assert_close(encoder(images).embedding, expected)


@pytest.mark.parametrize("shape", [(1,), (64,), (3, 28, 28)])
def test_every_shape_fits(shape):
    assert LinearEncoder.unfit(shape) is None


@pytest.mark.parametrize(("width", "is_legal"), [(0, False), (1, True)])
def test_width_is_at_least_1(width, is_legal):
    assert (catalogue.options(LinearEncoder)["width"].problem(width) is None) == is_legal
