import pytest
import torch
from torch import Generator

from trainables.views.crop import CropViews

SHAPE = (2, 20, 30)


def ramps(count):
    """Images in which a pixel's value tells its place: across in one channel, down in the other."""
    down, across = torch.meshgrid(torch.arange(20.0), torch.arange(30.0), indexing="ij")
    return torch.stack([across, down]).expand(count, *SHAPE)


def corners(count=500, **options):
    """Places of the upper left and the lower right corners of the rectangles, across and down."""
    found = CropViews(SHAPE, **options)(ramps(count), Generator().manual_seed(0))
    return found[:, :, 0, 0], found[:, :, -1, -1]


@pytest.mark.parametrize("area", [0.2, 0.7])
def test_areas_are_spread_evenly_from_the_smallest_to_all(area):
    first, last = corners(area=area, aspect=1.0)
    shares = ((last - first) / torch.tensor([29.0, 19.0])).prod(1)
    assert shares.min() >= area - 1e-4
    assert shares.max() <= 1 + 1e-4
    assert shares.mean() == pytest.approx((1 + area) / 2, abs=0.03)


def test_sides_differ_by_no_more_than_the_aspect():
    first, last = corners(area=0.3, aspect=2.0)
    across, down = ((last - first) / torch.tensor([29.0, 19.0])).unbind(1)
    inside = (across < 0.999) & (down < 0.999)
    stretch = (across / down)[inside]
    assert 0.5 - 1e-3 <= stretch.min() < 0.6
    assert 1.7 < stretch.max() <= 2 + 1e-3


def test_rectangles_lie_inside_and_everywhere():
    first, last = corners(area=0.2, aspect=1.5)
    assert first.min() >= -1e-3
    assert (last <= torch.tensor([29.0, 19.0]) + 1e-3).all()
    assert (first.amin(0) < 1).all()
    assert (last.amax(0) > torch.tensor([28.0, 18.0])).all()


def test_a_rectangle_is_stretched_evenly():
    found = CropViews(SHAPE)(ramps(3), Generator().manual_seed(0))
    for channel, axis in ((0, 2), (1, 1)):
        steps = found[:, channel].diff(dim=axis)
        first = steps.narrow(axis, 0, 1).expand_as(steps)
        torch.testing.assert_close(steps, first, atol=1e-3, rtol=0)


@pytest.mark.parametrize(("shape", "fits"), [((9,), False), ((1, 1, 8), False), ((1, 2, 2), True)])
def test_only_images_fit(shape, fits):
    reason = CropViews.unfit(shape)
    assert (reason is None) == fits
    assert fits or reason.startswith("crop needs images of at least 2 x 2, got points of shape")
