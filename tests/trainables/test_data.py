import os
from pathlib import Path

import numpy as np
import pytest
import torch

from trainables import data, sources

FEATURES = [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0], [6.0, 7.0]]
IMAGES = np.arange(4 * 2 * 3, dtype=np.uint8).reshape(4, 1, 2, 3)


def example(images):
    return data.point_set(
        IMAGES if images else np.array(FEATURES, np.float32),
        np.array([2, 0, 2, 0]),
        ["b", "unused", "a"],
        "example",
        groups=np.array([5, 1, 4, 1]),
        is_test=np.array([False, True, True, False]),
    )


@pytest.mark.parametrize("images", [False, True])
def test_a_file_that_was_written_reads_the_same(tmp_path, images):
    points = example(images)
    sources.write_parquet(points, tmp_path / "points.parquet")
    read = sources.read_parquet(tmp_path / "points.parquet")
    assert read.digest == points.digest
    assert read.classes == ("a", "b")
    for name in ("points", "labels", "groups", "is_test"):
        np.testing.assert_array_equal(getattr(read, name), getattr(points, name))


def test_equal_data_have_equal_digests_whatever_their_file():
    renamed = data.point_set(
        np.array(FEATURES, np.float32),
        np.array([0, 1, 0, 1]),
        ["a", "b"],
        "elsewhere",
        groups=np.array([8, 9, 7, 9]),
        is_test=np.array([False, True, True, False]),
    )
    assert renamed.digest == example(images=False).digest


@pytest.mark.parametrize(
    "change",
    [
        {"points": np.array(FEATURES, np.float32) + 1},
        {"labels": np.array([2, 0, 2, 2]), "groups": None},
        {"classes": ["c", "unused", "a"]},
        {"groups": None},
        {"groups": np.array([5, 1, 5, 1])},
        {"is_test": None},
        {"is_test": np.array([True, True, True, False])},
    ],
)
def test_different_data_have_different_digests(change):
    content = {
        "points": np.array(FEATURES, np.float32),
        "labels": np.array([2, 0, 2, 0]),
        "classes": ["b", "unused", "a"],
        "groups": np.array([5, 1, 4, 1]),
        "is_test": np.array([False, True, True, False]),
    }
    same = data.point_set(source="example", **content)
    assert same.digest == example(images=False).digest
    assert data.point_set(source="example", **{**content, **change}).digest != same.digest


def test_the_arrays_are_read_only():
    points = example(images=True)
    for array in (points.points, points.labels, points.groups, points.is_test):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = array[1]


@pytest.mark.parametrize("as_rows", [np.array, torch.tensor])
def test_taken_points_are_a_float_copy_and_images_lie_between_0_and_1(as_rows):
    taken = example(images=True).take(as_rows([3, 0, 3]))
    torch.testing.assert_close(taken, torch.from_numpy(IMAGES[[3, 0, 3]] / 255).float())
    features = example(images=False)
    taken = features.take(as_rows([3, 0, 3]))
    assert taken.tolist() == [FEATURES[3], FEATURES[0], FEATURES[3]]
    taken.zero_()
    assert features.points[3].tolist() == FEATURES[3]


def test_points_without_groups_differ_in_nothing_else():
    points = example(images=False)
    assert points.without_groups().groups is None
    assert points.without_groups().digest == points.digest


def test_the_digits_are_features_between_0_and_1_of_ten_classes():
    points = sources.open_points("digits")
    assert points.points.shape == (1797, 64)
    assert points.points.dtype == np.float32
    assert (points.points.min(), points.points.max()) == (0, 1)
    assert points.classes == tuple("0123456789")


def test_an_unknown_source_names_what_is_possible():
    with pytest.raises(data.DataError) as caught:
        sources.open_points("digit")
    assert caught.value.problems == [
        "digit: is no source of points; name digits or the path of a .parquet file"
    ]


@pytest.mark.data
@pytest.mark.skipif("STUDY_DATA" not in os.environ, reason="needs the data sets")
@pytest.mark.parametrize(
    ("name", "shape", "classes", "test"),
    [
        ("omniglot", (32460, 1, 28, 28), 1623, 13180),
        ("fashion_mnist", (70000, 1, 28, 28), 10, 10000),
        ("japanese_vowels", (9961, 12), 9, 5687),
        ("leaves100", (1584, 192), 99, 624),
    ],
)
def test_real_files_are_read(name, shape, classes, test):
    points = sources.open_points(str(Path(os.environ["STUDY_DATA"]) / f"{name}.parquet"))
    assert points.points.shape == shape
    assert len(points.classes) == classes
    assert points.is_test is not None
    assert points.is_test.sum() == test
    assert (points.groups is not None) == (name == "japanese_vowels")


def test_a_folder_of_images_is_told_to_be_imported_first(tmp_path):
    with pytest.raises(data.DataError) as caught:
        sources.open_points(str(tmp_path))
    assert caught.value.problems == [
        f"{tmp_path}: is no source of points; make a .parquet file of it with `study data import`"
    ]
