import math

import pytest
import torch
from torch import Generator

from trainables.views.affine import AffineViews

STILL = {"degrees": 0.0, "translate": 0.0, "scale": 0.0, "shear": 0.0}
SIDE = 33
PLACES = torch.arange(SIDE, dtype=torch.float32)


def seen(images, **options):
    views = AffineViews(tuple(images.shape[1:]), **{**STILL, **options})
    return views(images, Generator().manual_seed(0))


def drawn(count):
    """The amounts of the same seed, from -1 to 1."""
    return 2 * torch.rand(count, 6, generator=Generator().manual_seed(0)) - 1


def ramps(count=4):
    """Images in which a pixel's value tells its place: across in one channel, down in the other."""
    across = PLACES.expand(SIDE, SIDE)
    return torch.stack([across, across.T]).expand(count, 2, SIDE, SIDE)


def inner(images):
    """Pixels near the centre, which come from inside whatever happens."""
    middle, near = SIDE // 2, SIDE // 6
    return images[..., middle - near : middle + near + 1, middle - near : middle + near + 1]


def test_amounts_of_zero_change_nothing():
    images = torch.rand(3, 1, 16, 20)
    torch.testing.assert_close(seen(images), images, atol=1e-5, rtol=0)


def test_every_pixel_comes_from_where_the_rotation_about_the_centre_says():
    found, centre = inner(seen(ramps(), degrees=40.0)), (SIDE - 1) / 2
    across, down = (inner(ramps())[:, channel] - centre for channel in (0, 1))
    angle = (40 * drawn(4)[:, 0] * math.pi / 180)[:, None, None]
    source_across = across * angle.cos() + down * angle.sin()
    source_down = down * angle.cos() - across * angle.sin()
    expected = torch.stack([source_across, source_down], 1) + centre
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)


def test_a_shift_is_a_share_of_the_side():
    found = inner(seen(ramps(), translate=0.2))
    shift = 0.2 * SIDE * drawn(4)[:, 1:3]
    expected = inner(ramps()) - shift[:, :, None, None]
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)


def test_a_factor_of_size_is_about_the_centre():
    found, centre = inner(seen(ramps(), scale=0.3)), (SIDE - 1) / 2
    factor = (1 + 0.3 * drawn(4)[:, 3])[:, None, None, None]
    expected = (inner(ramps()) - centre) / factor + centre
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)


def test_shearing_keeps_parallels_and_the_centre():
    found, middle = seen(ramps(), shear=30.0), SIDE // 2
    steps = inner(found).diff(dim=3)
    torch.testing.assert_close(steps, steps[..., :1].expand_as(steps), atol=1e-3, rtol=0)
    assert not torch.allclose(found, ramps())
    centre = torch.full((4, 2), float(middle))
    torch.testing.assert_close(found[:, :, middle, middle], centre, atol=1e-3, rtol=0)


def test_places_from_outside_repeat_the_border():
    images = torch.full((5, 3, 16, 16), 0.7)
    found = seen(images, degrees=180.0, translate=0.5, scale=0.5, shear=45.0)
    torch.testing.assert_close(found, images)


@pytest.mark.parametrize(("shape", "fits"), [((9,), False), ((1, 1, 8), False), ((1, 2, 2), True)])
def test_only_images_fit(shape, fits):
    reason = AffineViews.unfit(shape)
    assert (reason is None) == fits
    assert fits or reason.startswith("affine needs images of at least 2 x 2, got points of shape")
