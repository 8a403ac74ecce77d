import pytest
import torch
from torch import Generator

from trainables import catalogue
from trainables.views.mixing import MixingViews


def views_of(points, strength, seed=0):
    views = MixingViews(tuple(points.shape[1:]), strength=strength)
    return views(points, Generator().manual_seed(seed))


def mixed(points, strength, seed):
    """Partners and shares drawn as documented, mixed point by point."""
    generator = Generator().manual_seed(seed)
    shares = torch.rand(len(points), generator=generator, dtype=points.dtype)
    steps = torch.randint(1, len(points), (len(points),), generator=generator)
    found = []
    for place, point in enumerate(points):
        other = points[(place + int(steps[place])) % len(points)]
        share = strength * shares[place]
        found.append((1 - share) * point + share * other)
    return torch.stack(found)


@pytest.mark.parametrize("shape", [(4,), (2, 3, 5)])
def test_each_point_moves_part_of_the_way_to_another(shape):
    points = torch.randn(7, *shape, dtype=torch.float64)
    torch.testing.assert_close(views_of(points, 0.3, seed=5), mixed(points, 0.3, seed=5))


def test_one_share_and_one_partner_go_to_all_features_of_a_point():
    moved = views_of(torch.eye(50), 0.4) - torch.eye(50)
    lost = -moved.diagonal()
    gained = (moved + torch.diag(lost)).sort(dim=1).values
    assert (lost > 0).all()
    torch.testing.assert_close(gained[:, -1], lost)
    assert (gained[:, :-1] == 0).all()


def test_shares_are_uniform_up_to_the_strength():
    shares = 1 - views_of(torch.eye(2000), 0.4).diagonal()
    assert shares.max() <= 0.4
    assert shares.mean().item() == pytest.approx(0.2, abs=0.01)
    assert shares.std().item() == pytest.approx(0.4 / 12**0.5, abs=0.01)


def test_every_other_point_may_be_the_partner():
    partners = torch.stack([(views_of(torch.eye(4), 0.4, seed) > 0) for seed in range(50)])
    assert partners.any(0).all()


def test_a_point_alone_stays_as_it_is():
    point = torch.rand(1, 3)
    assert torch.equal(views_of(point, 0.4), point)


@pytest.mark.parametrize(("strength", "is_legal"), [(0.0, False), (0.1, True), (0.5, False)])
def test_the_others_share_is_positive_and_below_one_half(strength, is_legal):
    assert (catalogue.options(MixingViews)["strength"].problem(strength) is None) == is_legal
