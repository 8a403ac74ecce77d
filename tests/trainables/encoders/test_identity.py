import torch

from trainables import catalogue
from trainables.encoders.identity import IdentityEncoder


def test_a_point_is_its_own_embedding():
    points = torch.rand(4, 2, 3, 5)
    encoder = IdentityEncoder((2, 3, 5))
    assert encoder.width == 30
    assert torch.equal(encoder(points).embedding, points.view(4, 30))


def test_it_has_nothing_to_learn_and_no_options():
    assert list(IdentityEncoder((3,)).parameters()) == []
    assert catalogue.options(IdentityEncoder) == {}
