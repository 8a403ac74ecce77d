import re
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainables.data import DataError
from trainables.importers import pictures

SOURCE = Path("source")


def content(image, form="PNG", **options):
    file = BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def flat(mode, colour, size=(3, 2)):
    return Image.new(mode, size, colour)


def points(*contents, size=None, **options):
    files = [
        pictures.Picture(f"file {row}", "ab"[row % 2], None, lambda text=text: text)
        for row, text in enumerate(contents)
    ]
    return pictures.point_set_of(files, SOURCE, size, **options).points


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("1", 1, [255]),
        ("L", 7, [7]),
        ("LA", (9, 255), [9]),
        ("LA", (0, 0), [255]),
        ("I;16", 0x1234, [0x12]),
        ("RGB", (1, 2, 3), [1, 2, 3]),
        ("RGBA", (1, 2, 3, 255), [1, 2, 3]),
        ("RGBA", (1, 2, 3, 0), [255, 255, 255]),
    ],
)
def test_every_pixel_format_becomes_grey_or_colour_on_white(mode, colour, expected):
    image = content(flat(mode, colour))
    read = points(image, image)
    assert read.shape == (2, len(expected), 2, 3)
    assert read[0, :, 0, 0].tolist() == expected


def test_one_colour_image_makes_all_of_them_colour():
    read = points(content(flat("L", 7)), content(flat("RGB", (1, 2, 3))))
    assert read[:, :, 0, 0].tolist() == [[7, 7, 7], [1, 2, 3]]


def test_the_first_frame_of_an_animation_counts():
    frames = [flat("L", 10), flat("L", 200)]
    animation = content(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert points(animation, animation)[0].max() == 10


def test_photographs_are_turned_upright():
    image = flat("L", 0, (3, 2))
    exif = image.getexif()
    exif[0x0112] = 6  # shown turned by a quarter
    photograph = content(image, "JPEG", exif=exif)
    assert points(photograph, photograph).shape == (2, 1, 3, 2)


def test_shrinking_takes_the_mean_of_the_covered_pixels():
    image = content(Image.fromarray(np.array([[0, 100], [20, 80]], np.uint8)))
    assert points(image, image, size=1).tolist() == [[[[50]]]] * 2
    assert points(image, image, size=1, inverted=True).tolist() == [[[[205]]]] * 2


def test_resized_arrays_equal_resized_files():
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 7, 5)).astype(np.uint8)
    files = [content(Image.fromarray(np.moveaxis(image, 0, 2))) for image in images]
    np.testing.assert_array_equal(pictures.resized(images, 4), points(*files, size=4))


def test_differing_sizes_name_two_files_and_the_remedy():
    with pytest.raises(DataError) as caught:
        points(content(flat("L", 0)), content(flat("L", 0, (4, 2))))
    assert caught.value.problems == [
        "file 1: is 4 x 2 pixels wide and high, file 0 is 3 x 2; give --size to resize all images"
    ]


def test_differing_sizes_become_one_size_where_it_is_given():
    read = points(content(flat("L", 8)), content(flat("L", 8, (40, 2))), size=5)
    assert read.shape == (2, 1, 5, 5)
    assert (read == 8).all()


def test_every_unreadable_image_is_reported_beside_differing_sizes():
    good, other = content(flat("L", 0)), content(flat("L", 0, (4, 2)))
    noise = np.random.default_rng(0).integers(0, 256, (30, 30)).astype(np.uint8)
    cut = content(Image.fromarray(noise))[:300]
    with pytest.raises(DataError) as caught:
        points(b"no image", cut, b"", good, other)
    first, second, third, fourth = caught.value.problems
    assert first == "file 0: is no image that can be read; replace or remove it"
    assert re.fullmatch(r"file 1: cannot be read as an image: .*; replace or remove it", second)
    assert third.startswith("file 2: is no image")
    assert fourth.startswith("file 4: is 4 x 2 pixels wide and high, file 3 is 3 x 2")


def test_a_file_that_cannot_be_opened_is_reported_with_the_reason():
    def refuse():
        raise PermissionError(13, "Permission denied", "file")

    with pytest.raises(DataError) as caught:
        pictures.point_set_of([pictures.Picture("file", "a", None, refuse)], SOURCE, None)
    assert caught.value.problems == [
        "file: cannot be read: Permission denied; replace or remove it"
    ]


def test_pixels_of_32_bits_are_refused():
    image = content(flat("F", 0.5), "TIFF")
    with pytest.raises(DataError, match="its pixels have 32 bits, at most 16 are possible"):
        points(image, image)


def test_an_image_of_bomb_size_is_refused(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4)
    image = content(flat("L", 0))
    with pytest.raises(DataError, match="file 0: cannot be read as an image: .*bomb"):
        points(image, image)


def test_of_very_many_problems_the_first_are_shown_and_the_others_counted():
    with pytest.raises(DataError) as caught:
        points(*[b""] * 50)
    assert len(caught.value.problems) == pictures.PROBLEMS_SHOWN + 1
    assert caught.value.problems[-1] == "source: 30 more images have such problems"
