from pathlib import Path

import numpy as np
import pytest

from trainables.data import DataError
from trainables.importers.parts import Part, joined

SOURCE = Path("source")
IMAGES = np.arange(4 * 6, dtype=np.uint8).reshape(4, 1, 2, 3)
LABELS = np.array(["b", "a", "b", "a"])


def test_one_part_has_no_official_split():
    points = joined([Part("one", IMAGES, LABELS)], SOURCE, None)
    np.testing.assert_array_equal(points.points, IMAGES)
    assert points.labels.tolist() == [1, 0, 1, 0]
    assert points.classes == ("a", "b")
    assert points.is_test is None
    assert points.groups is None


def test_parts_on_both_sides_make_an_official_split():
    parts = [Part("one", IMAGES, LABELS), Part("two", IMAGES[:2], np.array(["b", "c"]), True)]
    points = joined(parts, SOURCE, None)
    assert points.is_test.tolist() == [False] * 4 + [True] * 2
    assert points.labels.tolist() == [1, 0, 1, 0, 1, 2]


def test_parts_on_one_side_make_no_official_split():
    points = joined([Part("one", IMAGES, LABELS), Part("two", IMAGES, LABELS)], SOURCE, None)
    assert points.is_test is None


def test_natural_groups_of_different_parts_are_different():
    groups = np.array([3, 7, 3, 8])
    parts = [
        Part("one", IMAGES, LABELS, groups=groups),
        Part("two", IMAGES, LABELS, True, groups=groups),
    ]
    assert joined(parts, SOURCE, None).groups.tolist() == [0, 1, 0, 2, 3, 4, 3, 5]


def test_resizing_brings_parts_of_different_sizes_together():
    parts = [Part("one", IMAGES, LABELS), Part("two", IMAGES.reshape(4, 1, 3, 2), LABELS)]
    assert joined(parts, SOURCE, 2).points.shape == (8, 1, 2, 2)


def test_every_disagreement_is_reported():
    parts = [
        Part("one", IMAGES, LABELS[:3], groups=np.array([0, 1])),
        Part("two", IMAGES, LABELS[:1]),
    ]
    with pytest.raises(DataError) as caught:
        joined(parts, SOURCE, None)
    assert caught.value.problems == [
        "one: holds 4 points, but there are 3 labels for them; each point needs one",
        "one: holds 4 points, but there are 2 natural groups for them; each point needs one",
        "two: holds 4 points, but there are 1 labels for them; each point needs one",
        "source: only some parts have natural groups; give all of them, or none",
    ]


def test_points_of_different_shapes_name_both_parts():
    features = IMAGES.reshape(4, 6).astype(np.float32)
    parts = [
        Part("one", IMAGES, LABELS),
        Part("two", IMAGES.reshape(4, 1, 3, 2), LABELS),
        Part("three", features, LABELS),
    ]
    with pytest.raises(DataError) as caught:
        joined(parts, SOURCE, None)
    assert caught.value.problems == [
        "two: holds images of 1 x 3 x 2 (channels x height x width), one holds images of 1 x 2 x 3 "
        "(channels x height x width); all points must be of one kind and shape",
        "three: holds points of 6 features, one holds images of 1 x 2 x 3 (channels x height x "
        "width); all points must be of one kind and shape",
    ]


@pytest.mark.parametrize("count", [1, 2])
def test_features_are_not_resized(count):
    features = Part("two", IMAGES.reshape(4, 6).astype(np.float32), LABELS)
    with pytest.raises(DataError) as caught:
        joined([Part("one", IMAGES, LABELS), features][-count:], SOURCE, 8)
    assert len(caught.value.problems) == count
    assert caught.value.problems[-1] == (
        "source: holds features, and --size is for images; leave it out"
    )


@pytest.mark.parametrize("size", [None, 8])
def test_images_without_pixels_are_reported(size):
    with pytest.raises(DataError, match="source: holds no points"):
        joined([Part("one", IMAGES[:, :, :0], LABELS)], SOURCE, size)
