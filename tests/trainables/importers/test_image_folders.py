import numpy as np
import pytest
from PIL import Image

from trainables.data import DataError
from trainables.importers import image_folders
from trainables.sources import read_parquet, write_parquet


def draw(path, value=0, size=(3, 2)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, value).save(path)


def problems(source):
    with pytest.raises(DataError) as caught:
        image_folders.read(source)
    return [text.replace(str(source), "SOURCE") for text in caught.value.problems]


@pytest.fixture
def source(tmp_path):
    draw(tmp_path / "images/dog/1.png", 10)
    draw(tmp_path / "images/dog/2.BMP", 20)
    draw(tmp_path / "images/cat/1.png", 30)
    return tmp_path / "images"


def test_a_folder_names_the_class_of_its_images(source, tmp_path):
    points = image_folders.read(source)
    assert points.classes == ("cat", "dog")
    assert points.points.shape == (3, 1, 2, 3)
    assert points.points[:, 0, 0, 0].tolist() == [30, 10, 20]
    assert points.labels.tolist() == [0, 1, 1]
    assert points.is_test is None
    write_parquet(points, tmp_path / "points.parquet")
    assert read_parquet(tmp_path / "points.parquet").digest == points.digest


def test_folders_train_and_test_are_an_official_split(tmp_path):
    for row, place in enumerate(["train/cat/1", "train/dog/1", "test/cat/1", "test/eel/1"]):
        draw(tmp_path / f"{place}.png", row)
    points = image_folders.read(tmp_path)
    assert points.classes == ("cat", "dog", "eel")
    assert points.points[:, 0, 0, 0].tolist() == [0, 1, 2, 3]
    assert points.labels.tolist() == [0, 1, 0, 2]
    assert points.is_test.tolist() == [False, False, True, True]


def test_classes_may_be_called_train_and_test(tmp_path):
    for name in ("train", "test", "bus"):
        draw(tmp_path / name / "1.png")
    points = image_folders.read(tmp_path)
    assert points.classes == ("bus", "test", "train")
    assert points.is_test is None


def test_all_images_are_resized_where_a_size_is_given(source):
    draw(source / "cat/wide.png", size=(9, 1))
    assert image_folders.read(source, 4).points.shape == (4, 1, 4, 4)
    (problem,) = problems(source)
    assert problem == (
        "SOURCE/cat/wide.png: is 9 x 1 pixels wide and high, SOURCE/cat/1.png is 3 x 2; give "
        "--size to resize all images"
    )


def test_hidden_and_other_files_are_passed_over(source):
    digest = image_folders.read(source).digest
    for name in ("dog/.1.png", "dog/notes.txt", ".hidden/1.png", "__MACOSX/dog/._1.png"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text("no image")
    (source / "dog/folder.png").mkdir()
    assert image_folders.read(source).digest == digest


def test_everything_out_of_its_place_is_reported_at_once(source):
    draw(source / "loose.png")
    draw(source / "dog/young/1.png")
    (source / "empty").mkdir()
    loose, deep, empty = problems(source)
    assert loose == (
        "SOURCE: holds 1 images outside the folders of classes, such as loose.png; move or remove "
        "them"
    )
    assert deep == (
        "SOURCE/dog: holds a folder of images, young; images of a class lie directly in its "
        "folder, and classes in SOURCE, or in its folders train and test"
    )
    assert empty.startswith("SOURCE/empty: holds no images (.bmp .gif")


def test_images_beside_an_official_split_are_reported(tmp_path):
    for place in ("train/a/1", "train/b/1", "test/a/1", "val/a/1", "loose"):
        draw(tmp_path / f"{place}.png")
    assert problems(tmp_path) == [
        "SOURCE/val: lies beside train and test; move its images into one of them",
        "SOURCE: holds 1 images outside the folders of classes, such as loose.png; move or remove "
        "them",
    ]


def test_every_damaged_image_is_named(source):
    for name in ("cat/1.png", "dog/1.png"):
        (source / name).write_bytes(b"damaged")
    assert problems(source) == [
        f"SOURCE/{name}: is no image that can be read; replace or remove it"
        for name in ("cat/1.png", "dog/1.png")
    ]


def test_one_class_is_too_few(tmp_path):
    draw(tmp_path / "cat/1.png")
    assert problems(tmp_path) == ["SOURCE: holds one class only, cat; at least two are needed"]


def test_a_name_that_is_not_utf_8_is_reported(source):
    name = "\udce9"  # how Python sees a lone Latin-1 byte
    draw(source / name / "1.png")
    assert problems(source) == [
        r"SOURCE: holds a folder whose name is not UTF-8, '\udce9'; rename it"
    ]


@pytest.mark.parametrize("suffix", image_folders.SUFFIXES)
def test_every_suffix_is_recognised_and_read(tmp_path, suffix):
    for name in ("a", "b"):
        draw(tmp_path / name / f"1{suffix}", 255)
    assert image_folders.recognises(tmp_path)
    points = image_folders.read(tmp_path)
    np.testing.assert_array_equal(points.points, np.full_like(points.points, 255))


def test_a_folder_without_images_is_not_recognised(tmp_path):
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat/notes.txt").touch()
    assert not image_folders.recognises(tmp_path)
    assert not image_folders.recognises(tmp_path / "cat/notes.txt")


def test_the_folder_of_one_class_is_not_taken_for_all(source):
    assert problems(source / "dog") == [
        "SOURCE: holds images, but no folder of a class; name the folder above it, or sort its "
        "images into a folder for each class"
    ]
