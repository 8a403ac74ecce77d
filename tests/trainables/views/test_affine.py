from math import cos, floor, radians, sin, tan

import pytest
import torch
from torch import Generator

from trainables import catalogue
from trainables.views.affine import AffineViews

STILL = {"degrees": 0.0, "translate": 0.0, "scale": 0.0, "shear": 0.0}
LARGE = {"degrees": 40.0, "translate": 0.2, "scale": 0.3, "shear": 20.0}


def view_of(images, seed=0, **options):
    views = AffineViews(tuple(images.shape[1:]), **{**STILL, **options}).double()
    return views(images, Generator().manual_seed(seed))


def drawn(count, seed=0):
    """The amounts from -1 to 1 that decide turn, two shifts, size and two angles."""
    generator = Generator().manual_seed(seed)
    return (2 * torch.rand(count, 6, generator=generator, dtype=torch.float64) - 1).tolist()


def pixel(image, across, down):
    """Bilinear interpolation; places outside take the nearest border's value."""
    height, width = image.shape
    across, down = min(max(across, 0), width - 1), min(max(down, 0), height - 1)
    left, top = min(floor(across), width - 2), min(floor(down), height - 2)
    right, low = across - left, down - top
    upper = (1 - right) * image[top, left] + right * image[top, left + 1]
    lower = (1 - right) * image[top + 1, left] + right * image[top + 1, left + 1]
    return (1 - low) * upper + low * lower


def naive(image, amounts, degrees, translate, scale, shear):
    """Each pixel of the view is sought in the image: shift, turn and size, lean, all undone."""
    height, width = image.shape
    turn, size = radians(degrees * amounts[0]), 1 + scale * amounts[3]
    lean_across, lean_down = (tan(radians(shear * amount)) for amount in amounts[4:])
    view = torch.zeros_like(image)
    for row in range(height):
        for column in range(width):
            across = column - (width - 1) / 2 - translate * width * amounts[1]
            down = row - (height - 1) / 2 - translate * height * amounts[2]
            across, down = (
                (cos(turn) * across + sin(turn) * down) / size,
                (cos(turn) * down - sin(turn) * across) / size,
            )
            down = down + lean_down * across
            across = across + lean_across * down
            view[row, column] = pixel(image, across + (width - 1) / 2, down + (height - 1) / 2)
    return view


@pytest.mark.parametrize(
    "options", [LARGE, *({name: value} for name, value in LARGE.items())], ids=["all", *LARGE]
)
def test_each_pixel_comes_from_where_the_inverse_map_says(options):
    images = torch.rand(3, 2, 6, 9, dtype=torch.float64)
    expected = [
        torch.stack([naive(channel, amounts, **{**STILL, **options}) for channel in image])
        for image, amounts in zip(images, drawn(3), strict=True)
    ]
    torch.testing.assert_close(view_of(images, **options), torch.stack(expected))


def test_without_any_change_images_stay_as_they_are():
    images = torch.rand(2, 1, 6, 9, dtype=torch.float64)
    torch.testing.assert_close(view_of(images), images)


def test_a_shift_repeats_the_border():
    steps = torch.arange(8, dtype=torch.float64).expand(1, 1, 8, 8)
    ((shift, _),) = (amounts[1:3] for amounts in drawn(1))
    expected = (torch.arange(8) - 4 * shift).clamp(0, 7).expand(1, 1, 8, 8)
    torch.testing.assert_close(view_of(steps, translate=0.5), expected.double())


def test_pixels_stay_in_their_range():
    images = torch.rand(4, 3, 8, 8, dtype=torch.float64)
    view = view_of(images, **LARGE)
    assert images.min() <= view.min()
    assert view.max() <= images.max()


@pytest.mark.parametrize(
    ("option", "legal", "illegal"),
    [
        ("degrees", [0.0, 180.0], [-1.0, 181.0]),
        ("translate", [0.0, 0.9], [-0.1, 1.0]),
        ("scale", [0.0, 0.9], [-0.1, 1.0]),
        ("shear", [0.0, 45.0], [-1.0, 46.0]),
    ],
)
def test_options_have_ranges(option, legal, illegal):
    checked = catalogue.options(AffineViews)[option]
    assert [checked.problem(value) for value in legal] == [None] * len(legal)
    assert None not in [checked.problem(value) for value in illegal]


@pytest.mark.parametrize(("shape", "words"), [((64,), "64"), ((3, 1, 28), "3 x 1 x 28")])
def test_points_that_are_no_images_of_2_x_2_are_refused(shape, words):
    assert AffineViews.unfit(shape) == (
        f"affine needs images of at least 2 x 2, got points of shape {words}; "
        "use noise, dropout or mixing"
    )
    assert AffineViews.unfit((1, 2, 2)) is None
