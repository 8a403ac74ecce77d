import pytest
import torch
from torch import Generator

from trainables import catalogue
from trainables.views.dropout import DropoutViews


@pytest.mark.parametrize("rate", [0.05, 0.5])
def test_features_are_lost_at_the_rate_or_keep_their_value(rate):
    points = torch.rand(200, 100) + 1
    found = DropoutViews((100,), rate=rate)(points, Generator().manual_seed(0))
    lost = found == 0
    assert lost.float().mean().item() == pytest.approx(rate, abs=0.01)
    assert torch.equal(found[~lost], points[~lost])


def test_pixels_of_each_channel_are_lost_on_their_own():
    lost = DropoutViews((2, 30, 30), rate=0.5)(torch.ones(1, 2, 30, 30), Generator()) == 0
    first, second = lost[0]
    assert (first != second).float().mean().item() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(("rate", "is_legal"), [(0.0, False), (0.2, True), (1.0, False)])
def test_the_rate_is_between_0_and_1(rate, is_legal):
    assert (catalogue.options(DropoutViews)["rate"].problem(rate) is None) == is_legal
