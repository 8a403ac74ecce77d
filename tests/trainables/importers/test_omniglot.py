import zipfile
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from trainables.data import DataError
from trainables.importers import omniglot
from trainables.sources import read_parquet, write_parquet

CHARACTERS = {
    "images_background": ["Greek/character01", "Greek/character02", "Anglo-Saxon/character01"],
    "images_evaluation": ["Atlantean/character01", "ULOG/character02"],
}


def drawing(seed):
    """A 105 x 105 one-bit image like Omniglot's: black strokes on white."""
    paper = np.random.default_rng(seed).random((105, 105)) > 0.1
    file = BytesIO()
    Image.fromarray(paper).save(file, "PNG")
    return file.getvalue()


def write_archive(folder, name):
    path = folder / f"{name}.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for row, character in enumerate(CHARACTERS[name]):
            archive.writestr(f"{name}/{character}/", b"")
            for drawer in (1, 2):
                place = f"{character}/{row:04}_{drawer:02}.png"
                archive.writestr(f"{name}/{place}", drawing(10 * row + drawer))
                shadow = f"{character}/._{row:04}_{drawer:02}.png"
                archive.writestr(f"__MACOSX/{name}/{shadow}", b"no image")
    return path


@pytest.fixture
def folder(tmp_path):
    for name in CHARACTERS:
        write_archive(tmp_path, name)
    return tmp_path


def unpack(path):
    with zipfile.ZipFile(path) as archive:
        archive.extractall(path.parent)
    path.unlink()


def test_both_archives_have_an_official_split_by_class(folder):
    points = omniglot.read(folder)
    assert points.points.shape == (10, 1, 28, 28)
    assert points.classes == (
        "Anglo-Saxon/character01",
        "Atlantean/character01",
        "Greek/character01",
        "Greek/character02",
        "ULOG/character02",
    )
    assert points.is_test.tolist() == [False] * 6 + [True] * 4
    write_parquet(points, folder / "points.parquet")
    assert read_parquet(folder / "points.parquet").digest == points.digest


@pytest.mark.parametrize("unpacked", [["images_background"], list(CHARACTERS)])
def test_unpacked_archives_hold_the_same_points(folder, unpacked):
    digest = omniglot.read(folder).digest
    for name in unpacked:
        unpack(folder / f"{name}.zip")
    assert omniglot.read(folder).digest == digest


def test_one_archive_has_no_official_split_packed_or_not(folder):
    path = folder / "images_evaluation.zip"
    points = omniglot.read(path)
    assert points.classes == ("Atlantean/character01", "ULOG/character02")
    assert points.is_test is None
    unpack(path)
    assert omniglot.read(folder / "images_evaluation").digest == points.digest


def test_ink_is_bright_and_an_image_keeps_its_mean(folder):
    points = omniglot.read(folder).points / 255
    assert points.mean() == pytest.approx(0.1, abs=0.01)
    full = omniglot.read(folder, 105).points
    assert set(np.unique(full)) == {0, 255}
    original = np.asarray(Image.open(BytesIO(drawing(21))))  # Anglo-Saxon sorts before Greek
    np.testing.assert_array_equal(full[0, 0] == 0, original)
    np.testing.assert_allclose(points[0].mean(), 1 - original.mean(), atol=0.01)


def test_a_shrunken_pixel_is_the_share_of_ink_among_the_pixels_it_covers(folder):
    ink = omniglot.read(folder, 105).points[0, 0]
    shrunken = omniglot.read(folder, 35).points[0, 0]
    means = ink.reshape(35, 3, 35, 3).mean((1, 3))
    np.testing.assert_allclose(shrunken, means, atol=0.51)


def test_nothing_is_written_beside_the_archives(folder):
    omniglot.read(folder)
    assert sorted(path.name for path in folder.iterdir()) == [
        "images_background.zip",
        "images_evaluation.zip",
    ]


def test_every_archive_that_is_not_one_is_reported(folder):
    (folder / "images_background.zip").write_bytes(b"no archive")
    with zipfile.ZipFile(folder / "images_evaluation.zip", "w") as archive:
        archive.writestr("other/1.png", b"")
    with pytest.raises(DataError) as caught:
        omniglot.read(folder)
    assert caught.value.problems == [
        f"{folder}/images_background.zip: cannot be read as a zip file: File is not a zip file; "
        "download it again",
        f"{folder}/images_evaluation.zip: holds no ALPHABET/characterNN/*.png; is it Omniglot's?",
    ]


def test_a_damaged_drawing_is_named_with_its_archive(folder):
    path = folder / "images_background.zip"
    content = bytearray(path.read_bytes())
    first = content.index(b"IDAT")
    content[first + 20] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        omniglot.read(folder)
    (problem,) = caught.value.problems
    place = "images_background.zip/images_background/Greek/character01/0000_01.png"
    assert problem.startswith(f"{folder}/{place}: cannot be read as an image: Bad CRC-32")


def test_a_drawing_of_absurd_size_is_not_read_whole(folder, monkeypatch):
    monkeypatch.setattr(omniglot, "LARGEST_DRAWING", 100)
    with pytest.raises(DataError, match="cannot be read as an image"):
        omniglot.read(folder)


def test_other_archives_are_not_recognised(tmp_path):
    with zipfile.ZipFile(tmp_path / "images.zip", "w"):
        pass
    assert not omniglot.recognises(tmp_path / "images.zip")
    assert not omniglot.recognises(tmp_path)
