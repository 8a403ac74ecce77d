import pytest
import torch
from torch import Generator

from trainables import catalogue
from trainables.views.crop import CropViews


def view_of(images, seed=0, **options):
    views = CropViews(tuple(images.shape[1:]), **options).double()
    return views(images, Generator().manual_seed(seed))


def ramps(count, height, width):
    """Images whose two channels tell how far across and down a pixel is, as shares."""
    across = torch.linspace(0, 1, width, dtype=torch.float64).expand(height, width)
    down = torch.linspace(0, 1, height, dtype=torch.float64)[:, None].expand(height, width)
    return torch.stack([across, down]).expand(count, 2, height, width)


def rectangles(count, **options):
    """Left, right, top and bottom of the rectangles that were cut out, as shares of the sides."""
    view = view_of(ramps(count, 6, 9), **options)
    return view[:, 0, 0, 0], view[:, 0, 0, -1], view[:, 1, 0, 0], view[:, 1, -1, 0]


def test_a_rectangle_is_stretched_to_the_whole_image():
    view = view_of(ramps(5, 6, 9), area=0.3)
    left, right, top, bottom = rectangles(5, area=0.3)
    for place in range(5):
        across = torch.linspace(left[place], right[place], 9, dtype=torch.float64)
        down = torch.linspace(top[place], bottom[place], 6, dtype=torch.float64)
        torch.testing.assert_close(view[place, 0], across.expand(6, 9))
        torch.testing.assert_close(view[place, 1], down[:, None].expand(6, 9))


def test_rectangles_are_drawn_as_documented():
    drawn = torch.rand(20, 4, generator=Generator().manual_seed(3), dtype=torch.float64).tolist()
    found = torch.stack(rectangles(20, seed=3, area=0.2, aspect=3.0), dim=1)
    expected = []
    for area_draw, ratio_draw, across, down in drawn:
        area, ratio = 0.2 + 0.8 * area_draw, 3.0 ** (2 * ratio_draw - 1)
        wide, high = min((area * ratio) ** 0.5, 1), min((area / ratio) ** 0.5, 1)
        left, top = across * (1 - wide), down * (1 - high)
        expected.append([left, left + wide, top, top + high])
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


def test_areas_and_ratios_keep_to_their_ranges():
    left, right, top, bottom = rectangles(500, area=0.25, aspect=2.0)
    wide, high = right - left, bottom - top
    assert 0.5 - 1e-9 <= (wide / high).min() < 0.6
    assert 1.7 < (wide / high).max() <= 2 + 1e-9
    square = rectangles(500, area=0.25, aspect=1.0)
    areas = (square[1] - square[0]) * (square[3] - square[2])
    assert areas.min() >= 0.25 - 1e-9
    assert areas.mean().item() == pytest.approx(0.625, abs=0.03)
    assert min(left.min(), top.min()) >= 0
    assert max(right.max(), bottom.max()) <= 1 + 1e-9


@pytest.mark.parametrize(
    ("option", "legal", "illegal"),
    [("area", [0.01, 0.99], [0.0, 1.0]), ("aspect", [1.0, 5.0], [0.9])],
)
def test_options_have_ranges(option, legal, illegal):
    checked = catalogue.options(CropViews)[option]
    assert [checked.problem(value) for value in legal] == [None] * len(legal)
    assert None not in [checked.problem(value) for value in illegal]


@pytest.mark.parametrize(("shape", "words"), [((64,), "64"), ((3, 1, 28), "3 x 1 x 28")])
def test_points_that_are_no_images_of_2_x_2_are_refused(shape, words):
    assert CropViews.unfit(shape) == (
        f"crop needs images of at least 2 x 2, got points of shape {words}; "
        "use noise, dropout or mixing"
    )
    assert CropViews.unfit((1, 2, 2)) is None
