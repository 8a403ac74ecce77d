import pytest
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Generator

from trainables.views.photometric import PhotometricViews

STILL = {"brightness": 0.0, "contrast": 0.0, "gamma": 1.0, "blur": 0.0}
SHAPE = (3, 12, 16)
CLOSE = {"rtol": 0, "atol": 1e-5}


def images():
    return torch.rand(4, *SHAPE, generator=Generator().manual_seed(1))


def seen(points, **options):
    views = PhotometricViews(SHAPE, **{**STILL, **options})
    return views(points, Generator().manual_seed(0))


def drawn():
    return torch.rand(4, 4, 1, 1, 1, generator=Generator().manual_seed(0))


def test_amounts_of_zero_change_nothing():
    torch.testing.assert_close(seen(images()), images(), **CLOSE)


def test_brightness_shifts_all_pixels_of_an_image():
    shift = 0.3 * (2 * drawn()[:, 0] - 1)
    expected = (images() + shift).clamp(0, 1)
    torch.testing.assert_close(seen(images(), brightness=0.3), expected, **CLOSE)


def test_contrast_stretches_about_the_images_own_mean():
    factor = 1 + 0.6 * (2 * drawn()[:, 1] - 1)
    mean = torch.stack([image.mean() for image in images()]).view(-1, 1, 1, 1)
    expected = (mean + factor * (images() - mean)).clamp(0, 1)
    torch.testing.assert_close(seen(images(), contrast=0.6), expected, **CLOSE)


def test_gamma_is_a_power():
    power = 2.0 ** (2 * drawn()[:, 2] - 1)
    torch.testing.assert_close(seen(images(), gamma=2.0), images() ** power, **CLOSE)


def test_the_blur_is_gaussian_with_repeated_borders():
    found = seen(images(), blur=2.0)
    for image, blurred, share in zip(images(), found, drawn()[:, 3].flatten(), strict=True):
        expected = image.numpy()
        for axis in (1, 2):
            expected = gaussian_filter1d(
                expected, 2.0 * float(share), axis=axis, mode="nearest", radius=4
            )
        torch.testing.assert_close(blurred, torch.from_numpy(expected), **CLOSE)


def test_pixels_stay_between_0_and_1():
    found = seen(images(), brightness=0.9, contrast=0.9, gamma=5.0, blur=2.0)
    assert found.min() >= 0
    assert found.max() <= 1


@pytest.mark.parametrize(("shape", "fits"), [((9,), False), ((1, 5, 8), True)])
def test_only_images_fit(shape, fits):
    reason = PhotometricViews.unfit(shape)
    assert (reason is None) == fits
    assert fits or reason.startswith("photometric needs images, got points of shape 9")
