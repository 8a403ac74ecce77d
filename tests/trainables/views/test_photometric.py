from math import exp

import pytest
import torch
from torch import Generator

from trainables import catalogue
from trainables.views.photometric import PhotometricViews

STILL = {"brightness": 0.0, "contrast": 0.0, "gamma": 1.0, "blur": 0.0}
LARGE = {"brightness": 0.4, "contrast": 0.6, "gamma": 2.0, "blur": 2.0}


def view_of(images, seed=0, **options):
    views = PhotometricViews(tuple(images.shape[1:]), **{**STILL, **options}).double()
    return views(images, Generator().manual_seed(seed))


def drawn(count, seed=0):
    """Numbers from 0 to 1 that decide shift, contrast, power and blur."""
    generator = Generator().manual_seed(seed)
    numbers = torch.rand(count, 4, 1, 1, 1, generator=generator, dtype=torch.float64)
    return numbers.view(count, 4).tolist()


def blurred(image, deviation):
    """Each pixel is the weighted mean of 9 x 9 pixels, the border's repeated."""
    height, width = image.shape
    weights = {step: exp(-(step**2) / (2 * deviation**2)) for step in range(-4, 5)}
    total = sum(weights.values())
    result = torch.zeros_like(image)
    for row in range(height):
        for column in range(width):
            for down, heavy in weights.items():
                for across, light in weights.items():
                    source = image[
                        min(max(row + down, 0), height - 1), min(max(column + across, 0), width - 1)
                    ]
                    result[row, column] += heavy * light * source / total**2
    return result


@pytest.mark.parametrize(
    "options",
    [LARGE, *({name: value} for name, value in LARGE.items())],
    ids=["all", *LARGE],
)
def test_the_formula_holds_pixel_by_pixel(options):
    images = torch.rand(3, 2, 5, 6, dtype=torch.float64)
    all_options = {**STILL, **options}
    expected = []
    for image, (shift, stretch, exponent, blur) in zip(images, drawn(3), strict=True):
        factor = 1 + all_options["contrast"] * (2 * stretch - 1)
        power = all_options["gamma"] ** (2 * exponent - 1)
        mean = image.sum() / image.numel()
        pixels = mean + factor * (image - mean) + all_options["brightness"] * (2 * shift - 1)
        pixels = pixels.clamp(0, 1) ** power
        deviation = max(all_options["blur"] * blur, 1e-3)
        expected.append(torch.stack([blurred(channel, deviation) for channel in pixels]))
    torch.testing.assert_close(view_of(images, **options), torch.stack(expected))


def test_without_any_change_images_stay_as_they_are():
    images = torch.rand(2, 3, 4, 5, dtype=torch.float64)
    images[0, 0] = 0
    torch.testing.assert_close(view_of(images), images)


def test_black_and_white_images_stay_finite_and_in_range():
    images = torch.stack([torch.zeros(1, 8, 8), torch.ones(1, 8, 8)]).double()
    view = view_of(images, **LARGE)
    assert view.isfinite().all()
    assert view.min() >= 0
    assert view.max() <= 1


def test_pixels_are_clamped_to_their_range():
    images = torch.rand(50, 1, 8, 8, dtype=torch.float64).round()
    view = view_of(images, brightness=0.9)
    assert view.min() == 0
    assert view.max() == 1


@pytest.mark.parametrize(
    ("option", "legal", "illegal"),
    [
        ("brightness", [0.0, 0.9], [-0.1, 1.0]),
        ("contrast", [0.0, 0.9], [-0.1, 1.0]),
        ("gamma", [1.0, 10.0], [0.9, 11.0]),
        ("blur", [0.0, 2.0], [-0.1, 2.1]),
    ],
)
def test_options_have_ranges(option, legal, illegal):
    checked = catalogue.options(PhotometricViews)[option]
    assert [checked.problem(value) for value in legal] == [None] * len(legal)
    assert None not in [checked.problem(value) for value in illegal]


def test_feature_vectors_are_refused():
    assert PhotometricViews.unfit((64,)) == (
        "photometric needs images, got points of shape 64; use noise, dropout or mixing"
    )
    assert PhotometricViews.unfit((1, 1, 1)) is None
