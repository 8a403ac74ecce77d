import numpy as np
import pytest

from trainables.data import DataError
from trainables.importers import npz
from trainables.sources import read_parquet, write_parquet

FEATURES = np.arange(8, dtype=np.float64).reshape(4, 2)
IMAGES = np.arange(4 * 5 * 6 * 3, dtype=np.uint16).astype(np.uint8).reshape(4, 5, 6, 3)
LABELS = np.array([3, 1, 3, 1])


@pytest.fixture
def source(tmp_path):
    return tmp_path / "points.npz"


def read(source, size=None, **arrays):
    np.savez(source, **arrays)
    return npz.read(source, size)


def problems(source, **arrays):
    with pytest.raises(DataError) as caught:
        read(source, **arrays)
    return [text.removeprefix(str(source)) for text in caught.value.problems]


@pytest.mark.parametrize("points", ["x", "X", "features", "images", "points"])
@pytest.mark.parametrize("labels", ["y", "labels", "label", "targets"])
@pytest.mark.parametrize("groups", ["group", "groups"])
def test_arrays_are_found_by_their_names(source, points, labels, groups):
    named = {points: FEATURES, labels: LABELS, groups: np.array([5, 6, 5, 7]), "other": [1]}
    read_points = read(source, **named)
    np.testing.assert_array_equal(read_points.points, FEATURES)
    assert read_points.points.dtype == np.float32
    assert read_points.labels.tolist() == [1, 0, 1, 0]
    assert read_points.classes == ("1", "3")
    assert read_points.groups.tolist() == [0, 1, 0, 2]
    assert read_points.is_test is None


@pytest.mark.parametrize("pattern", ["{name}_{side}", "{side}_{name}"])
def test_sides_of_a_split_stand_before_or_after_the_name(source, pattern, tmp_path):
    arrays = {}
    for side, rows in {"test": [3], "train": [0, 1, 2]}.items():
        arrays[pattern.format(name="x", side=side)] = IMAGES[rows, :, :, 0]
        arrays[pattern.format(name="y", side=side)] = LABELS[rows]
    points = read(source, **arrays)
    np.testing.assert_array_equal(points.points[:, 0], IMAGES[..., 0])
    assert points.is_test.tolist() == [False, False, False, True]
    write_parquet(points, tmp_path / "points.parquet")
    assert read_parquet(tmp_path / "points.parquet").digest == points.digest


def test_points_for_validation_are_to_train_on(source):
    arrays = {f"{side}_images": IMAGES for side in ("val", "test", "train")}
    labels = {f"{side}_labels": LABELS[:, np.newaxis] for side in ("val", "test", "train")}
    assert read(source, **arrays, **labels).is_test.tolist() == [False] * 8 + [True] * 4


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (IMAGES[..., 0], IMAGES[..., 0][:, np.newaxis]),
        (IMAGES, np.moveaxis(IMAGES, 3, 1)),
        (np.moveaxis(IMAGES, 3, 1), np.moveaxis(IMAGES, 3, 1)),
        (IMAGES[..., :1], np.moveaxis(IMAGES[..., :1], 3, 1)),
        (IMAGES[:, :3], np.moveaxis(IMAGES[:, :3], 3, 1)),
    ],
    ids=["grey", "channels last", "channels first", "one channel", "3 pixels high"],
)
def test_bytes_in_3_or_4_dimensions_are_images(source, images, expected):
    points = read(source, x=images, y=LABELS)
    assert points.points.dtype == np.uint8
    np.testing.assert_array_equal(points.points, expected)


@pytest.mark.parametrize(
    "features",
    [IMAGES.astype(np.float32), IMAGES.astype(np.int64), IMAGES.reshape(4, -1), IMAGES > 3],
    ids=["floats", "integers", "rows of bytes", "booleans"],
)
def test_all_other_numbers_are_features_as_they_are(source, features):
    points = read(source, x=features, y=LABELS)
    assert points.points.dtype == np.float32
    np.testing.assert_array_equal(points.points, features.reshape(4, -1))


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (np.array(["b", "ä", "b", "ä"]), ("b", "ä")),
        (np.array([b"b", b"a", b"b", b"a"]), ("a", "b")),
        (np.array([1.0, -2.0, 1.0, -2.0]), ("-2", "1")),
        (LABELS[:, np.newaxis], ("1", "3")),
        (LABELS == 1, ("False", "True")),
    ],
    ids=["strings", "bytes", "floats", "a column", "booleans"],
)
def test_labels_are_strings_or_whole_numbers(source, labels, classes):
    assert read(source, x=FEATURES, y=labels).classes == classes


def test_images_are_resized_where_a_size_is_given(source):
    assert read(source, 4, x=IMAGES, y=LABELS).points.shape == (4, 3, 4, 4)


def test_objects_are_never_loaded(source):
    assert problems(source, x=FEATURES, y=np.array(["a", 1, None, "b"], dtype=object)) == [
        ": array y holds Python objects, which are never loaded; save it as numbers or strings"
    ]


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        (
            {"x": FEATURES.astype(np.complex64), "y": LABELS + 0.5},
            [
                "array x must hold numbers, holds complex64; convert it",
                "array y must hold whole numbers or strings, holds float64; convert it",
            ],
        ),
        (
            {"x": FEATURES[:, 0], "y": np.eye(4)},
            [
                "array x must hold one row for each point, has shape (4,)",
                "array y must hold one value for each point, has shape (4, 4); turn one-hot rows "
                "into numbers with argmax(1)",
            ],
        ),
        (
            {"x": np.zeros((4, 5, 6, 7), np.uint8), "y": LABELS},
            [
                "array x must hold at most 4 channels in its second or last dimension, has shape "
                "(4, 5, 6, 7); reorder it, or save features as floats"
            ],
        ),
        (
            {"a": FEATURES},
            [
                "holds no array of points; name it one of x, features, images, points, data; there "
                "are a",
                "holds no array of labels; name it one of y, labels, label, targets, target; there "
                "are a",
            ],
        ),
        (
            {"x_test": FEATURES, "X": FEATURES, "images": IMAGES, "y": LABELS},
            [
                "arrays X and images could both be the points; keep one of them",
                "holds arrays with and without a side of a split; keep one kind",
                "holds no array of labels; name it one of y_test, labels_test, label_test, "
                "targets_test, target_test; there are X, images, x_test, y",
            ],
        ),
    ],
    ids=["types", "shapes", "channels", "missing", "ambiguous"],
)
def test_every_array_that_cannot_be_used_is_reported(source, arrays, expected):
    assert problems(source, **arrays) == [f": {text}" for text in expected]


def test_differing_counts_are_reported(source):
    assert problems(source, x=FEATURES, y=LABELS[:3], groups=[1]) == [
        ", array x: holds 4 points, but there are 3 labels for them; each point needs one",
        ", array x: holds 4 points, but there are 1 natural groups for them; each point needs one",
    ]


def test_numbers_that_are_not_finite_are_reported(source):
    (problem,) = problems(source, x=FEATURES * 1e300, y=LABELS)
    assert problem.startswith(": features are NaN or infinite in 4 of 4 points")


def test_no_points_are_reported(source):
    (problem,) = problems(source, x=FEATURES[:0], y=LABELS[:0])
    assert problem.startswith(": holds no points")


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04", "array"])
def test_a_file_of_another_format_is_reported(source, content):
    if content == "array":
        with source.open("wb") as file:
            np.save(file, FEATURES)
    else:
        source.write_bytes(content)
    with pytest.raises(DataError) as caught:
        npz.read(source)
    assert caught.value.problems == [
        f"{source}: is no NumPy archive, or damaged; write it with numpy.savez"
    ]


@pytest.mark.parametrize("compressed", [False, True])
def test_damage_anywhere_is_an_error_of_the_data(source, compressed):
    (np.savez_compressed if compressed else np.savez)(source, x=FEATURES, y=LABELS)
    content, refused = source.read_bytes(), 0
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 0xFF
        source.write_bytes(damaged)
        try:
            npz.read(source)
        except DataError:
            refused += 1  # nothing else may be raised; many a byte, such as a date, does no harm
    assert refused > len(content) / 10


def test_only_files_called_npz_are_recognised(source):
    source.touch()
    assert npz.recognises(source)
    assert not npz.recognises(source.parent)
    assert not npz.recognises(source.with_suffix(".npy"))
