import pytest
import torch
from torch import Generator

from trainables import catalogue
from trainables.views.noise import NoiseViews


@pytest.mark.parametrize("deviation", [0.01, 0.5])
def test_noise_has_mean_0_and_the_deviation_asked_for(deviation):
    points = torch.rand(200, 100)
    noise = NoiseViews((100,), deviation=deviation)(points, Generator().manual_seed(0)) - points
    assert noise.mean().item() == pytest.approx(0, abs=0.03 * deviation)
    assert noise.std().item() == pytest.approx(deviation, rel=0.02)


def test_noise_is_the_generators_normal_numbers_times_the_deviation():
    points = torch.rand(3, 2)
    found = NoiseViews((2,), deviation=0.25)(points, Generator().manual_seed(5))
    expected = points + 0.25 * torch.randn(3, 2, generator=Generator().manual_seed(5))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(("deviation", "is_legal"), [(0.0, False), (0.1, True)])
def test_the_deviation_is_positive(deviation, is_legal):
    assert (catalogue.options(NoiseViews)["deviation"].problem(deviation) is None) == is_legal
