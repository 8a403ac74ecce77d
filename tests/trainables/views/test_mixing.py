import pytest
import torch
from torch import Generator

from trainables.views.mixing import MixingViews


@pytest.mark.parametrize("strength", [0.1, 0.4])
def test_a_view_is_part_of_the_way_to_another_point(strength):
    points = torch.eye(40)
    shares = MixingViews((40,), strength=strength)(points, Generator().manual_seed(0))
    own = shares.diagonal()
    torch.testing.assert_close(shares.sum(1), torch.ones(40))
    assert ((shares > 0).sum(1) == 2).all()
    assert (own >= 1 - strength - 1e-6).all()
    assert own.mean() == pytest.approx(1 - strength / 2, abs=strength / 8)


def test_partners_are_spread_over_the_batch():
    points = torch.eye(40)
    partners = set()
    generator = Generator().manual_seed(0)
    for _ in range(200):
        shares = MixingViews((40,))(points, generator)
        partners.add(int(shares[0, 1:].argmax()) + 1)
    assert len(partners) > 35


def test_a_point_alone_stays_itself():
    point = torch.rand(1, 1, 16, 16)
    assert torch.equal(MixingViews((1, 16, 16))(point, Generator().manual_seed(0)), point)


def test_pixels_of_an_image_move_together():
    images = torch.rand(6, 3, 16, 16)
    moved = MixingViews((3, 16, 16))(images, Generator().manual_seed(0)) - images
    directions = (images[None] - images[:, None]).flatten(2)
    along = torch.linalg.lstsq(directions[0].T, moved[0].flatten()[:, None]).residuals
    assert moved.abs().amax() <= 0.5
    assert along.numel() == 0 or along.max() < 1e-4
