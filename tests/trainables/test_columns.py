import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trainables import data, decoding, node_files, sources

FEATURES = [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0], [6.0, 7.0]]
LABELS = ["a", "b", "a", "b"]
IMAGES = np.arange(4 * 2 * 3, dtype=np.uint8).reshape(4, 1, 2, 3)
SIDES = {"kind": "image", "height": "2", "width": "3"}
FLOATS = pa.list_(pa.field("element", pa.float32()), 2)


@pytest.fixture(autouse=True, params=["in memory", "mapped"])
def way(request, tmp_path, monkeypatch):
    """Files are read as they are, and as if they were too large for memory: row by row."""
    if request.param == "mapped":
        monkeypatch.setattr(sources, "MAPPED_SHARE", 0.0)
        monkeypatch.setattr(decoding, "BATCH_BYTES", 1)
        monkeypatch.setenv(node_files.VARIABLE, str(tmp_path / "node"))


@pytest.fixture
def written(tmp_path):
    """Writes columns to a Parquet file and returns its path."""

    def write(metadata=None, **columns):
        path = tmp_path / "points.parquet"
        pq.write_table(pa.table(columns, metadata=metadata), path)
        return path

    return write


def refusal(path):
    with pytest.raises(data.DataError) as caught:
        sources.read_parquet(path)
    return [problem.removeprefix(f"{path}: ") for problem in caught.value.problems]


@pytest.mark.parametrize(
    "kind",
    [FLOATS, pa.list_(pa.float32()), pa.large_list(pa.float64()), pa.list_(pa.int16(), 2)],
    ids=str,
)
def test_features_are_read_from_every_kind_of_list(written, kind):
    points = sources.read_parquet(written(features=pa.array(FEATURES, kind), label=LABELS))
    assert points.points.dtype == np.float32
    assert points.points.tolist() == FEATURES
    assert points.shape == (2,)
    assert len(points) == 4


@pytest.mark.parametrize(
    "kind",
    [pa.binary(6), pa.binary(), pa.large_binary(), pa.list_(pa.uint8(), 6), pa.list_(pa.uint8())],
    ids=str,
)
def test_images_are_read_from_binaries_and_from_lists_of_bytes(written, kind):
    rows = [bytes(row) if "binary" in str(kind) else row.tolist() for row in IMAGES.reshape(4, 6)]
    points = sources.read_parquet(written(SIDES, image=pa.array(rows, kind), label=LABELS))
    np.testing.assert_array_equal(points.points, IMAGES)
    assert points.shape == (1, 2, 3)


def test_image_bytes_are_ordered_channels_height_width(written):
    rows = [bytes(row) for row in IMAGES.reshape(4, 6)]
    metadata = {"channels": "3", "height": "1", "width": "2"}
    path = written(metadata, image=pa.array(rows, pa.binary(6)), label=LABELS)
    points = sources.read_parquet(path)
    assert points.points[0].tolist() == [[[0, 1]], [[2, 3]], [[4, 5]]]


@pytest.mark.parametrize(
    ("label", "classes"),
    [
        (pa.array(LABELS), ("a", "b")),
        (pa.array(LABELS, pa.large_string()), ("a", "b")),
        (pa.array(LABELS).dictionary_encode(), ("a", "b")),
        (pa.array([7, 12, 7, 12], pa.int8()), ("12", "7")),
        (pa.DictionaryArray.from_arrays([1, 0, 1, 0], ["b", "a", "unused"]), ("a", "b")),
    ],
)
def test_classes_are_the_sorted_names_of_the_labels_that_occur(written, label, classes):
    points = sources.read_parquet(written(features=pa.array(FEATURES, FLOATS), label=label))
    assert points.classes == classes
    first = points.labels[0]
    assert points.labels.tolist() == [first, 1 - first, first, 1 - first]
    assert points.labels.dtype == np.int64


@pytest.mark.parametrize("group", [["x", "y", "x", "z"], [70, -1, 70, 3]])
def test_natural_groups_are_numbered_by_first_appearance(written, group):
    path = written(features=pa.array(FEATURES, FLOATS), label=LABELS, group=group)
    assert sources.read_parquet(path).groups.tolist() == [0, 1, 0, 2]


@pytest.mark.parametrize(
    "split", [["train", "test", "test", "train"], ["background", "evaluation", "test", "train"]]
)
def test_the_split_column_says_which_points_are_for_the_test(written, split):
    path = written(features=pa.array(FEATURES, FLOATS), label=LABELS, split=split)
    assert sources.read_parquet(path).is_test.tolist() == [False, True, True, False]


def test_labels_agree_across_row_groups_with_dictionaries_of_their_own(tmp_path):
    encoded = pa.array(LABELS).dictionary_encode()
    table = pa.table({"features": pa.array(FEATURES, FLOATS), "label": encoded})
    with pq.ParquetWriter(tmp_path / "points.parquet", table.schema) as writer:
        for rows in ([0, 2], [3, 1, 0]):
            part = table.take(rows)
            label = part["label"].cast(pa.string()).dictionary_encode()
            writer.write_table(part.set_column(1, "label", label))
    points = sources.read_parquet(tmp_path / "points.parquet")
    assert points.labels.tolist() == [0, 0, 1, 1, 0]
    assert points.points[:, 0].tolist() == [0, 4, 6, 2, 0]


PROBLEMS = {
    "label is misspelt": (
        {"label": None, "lables": LABELS},
        ["column label is missing; did you mean label by lables?"],
    ),
    "label is missing": (
        {"label": None, "z": LABELS},
        ["column label is missing; the columns are features, z"],
    ),
    "points are missing": (
        {"features": None, "images": LABELS},
        ["column features or image is missing; did you mean image by images?"],
    ),
    "points come twice": (
        {"image": FEATURES},
        ["columns features and image exclude each other; remove one of them"],
    ),
    "null label": (
        {"label": ["a", None, "b", None]},
        ["column label is null in 2 of 4 rows, the first is row 1; fill or remove them"],
    ),
    "labels of a wrong type": (
        {"label": [0.5, 1.5, 2.5, 3.5]},
        ["column label must hold strings or integers, holds double; convert it"],
    ),
    "one class": (
        {"label": ["a"] * 4},
        ["holds one class only, a; at least two are needed"],
    ),
    "null features": (
        {"features": pa.array([*FEATURES[:3], None], pa.list_(pa.float32()))},
        ["column features is null in 1 of 4 rows, the first is row 3; fill or remove them"],
    ),
    "null among the features": (
        {"features": pa.array([*FEATURES[:3], [0.0, None]], FLOATS)},
        ["column features holds nulls among its numbers; remove or repair them"],
    ),
    "several problems of the same column": (
        {"features": pa.array([[0.0], [None, 1.0], None, [1.0]], pa.list_(pa.float32()))},
        ["column features is null in 1 of 4 rows, the first is row 2; fill or remove them"],
    ),
    "features of a wrong type": (
        {"features": [["x", "y"]] * 4},
        ["column features must hold lists of numbers, holds list<element: string>; convert it"],
    ),
    "features that are no list": (
        {"features": [0.0, 1.0, 2.0, 3.0]},
        ["column features must hold lists of numbers, holds double; convert it"],
    ),
    "ragged features": (
        {"features": pa.array([*FEATURES[:3], [1.0]], pa.list_(pa.float32()))},
        [
            "column features must hold equally many numbers in every row; row 0 holds 2, "
            "row 3 holds 1"
        ],
    ),
    "features that are not finite": (
        {
            "features": pa.array(
                [[0, 1], [np.nan, 0], [1e300, 1], [-np.inf, 2]], pa.list_(pa.float64())
            )
        },
        [
            "features are NaN or infinite in 3 of 4 points, the first is row 1; remove or repair "
            "them"
        ],
    ),
    "group across classes": (
        {"group": [0, 1, 1, 2]},
        [
            "1 natural groups hold points of several classes, such as rows 1 and 2; give each "
            "class groups of its own"
        ],
    ),
    "unknown split": (
        {"split": ["train", "test", "valid", "dev"]},
        ["column split must hold train or test, holds dev, valid; rename or remove it"],
    ),
    "several at once": (
        {
            "label": ["a", "b", None, "c"],
            "features": pa.array([[0, np.nan]] * 4, FLOATS),
            "split": [1, 2, 3, 4],
            "group": [0.5] * 4,
        },
        [
            "column label is null in 1 of 4 rows, the first is row 2; fill or remove them",
            "column group must hold strings or integers, holds double; convert it",
            "column split must hold train or test, holds 1, 2, 3, 4; rename or remove it",
            "features are NaN or infinite in 4 of 4 points, the first is row 0; remove or repair "
            "them",
        ],
    ),
}


@pytest.mark.parametrize(("changes", "problems"), PROBLEMS.values(), ids=PROBLEMS)
def test_every_problem_of_a_file_is_named_with_its_remedy(written, changes, problems):
    columns = {"features": pa.array(FEATURES, FLOATS), "label": LABELS, **changes}
    path = written(**{name: column for name, column in columns.items() if column is not None})
    assert refusal(path) == problems


@pytest.mark.parametrize(
    ("metadata", "problem"),
    [
        (
            {"kind": "image", "width": "3"},
            "schema metadata height must be a positive integer, for the shape of the images, "
            "got nothing",
        ),
        (
            {"height": "0", "width": "x", "channels": "1"},
            "schema metadata height, width must be a positive integer, for the shape of the "
            "images, got 0, x",
        ),
        (
            {**SIDES, "channels": "3"},
            "column image must hold 18 bytes a row (channels x height x width = 3 x 2 x 3), "
            "holds 6; correct the schema metadata",
        ),
        (
            {**SIDES, "kind": "features"},
            "schema metadata kind must be image for a column image, is features",
        ),
    ],
)
def test_images_need_their_shape_in_the_schema_metadata(written, metadata, problem):
    rows = [bytes(row) for row in IMAGES.reshape(4, 6)]
    path = written(metadata, image=pa.array(rows, pa.binary(6)), label=LABELS)
    assert refusal(path) == [problem]


def test_images_of_different_lengths_are_refused(written):
    rows = pa.array([bytes(6), bytes(6), bytes(5), bytes(6)], pa.binary())
    assert refusal(written(SIDES, image=rows, label=LABELS)) == [
        "column image must hold equally many bytes in every row; row 0 holds 6, row 2 holds 5"
    ]


def test_a_null_among_the_bytes_of_images_is_refused(written):
    rows = pa.array([[*range(6)], [*range(5), None]], pa.list_(pa.uint8()))
    assert refusal(written(SIDES, image=rows, label=LABELS[:2])) == [
        "column image holds nulls among its bytes; remove or repair them"
    ]


def test_an_empty_table_is_refused(written):
    path = written(features=pa.array([], FLOATS), label=pa.array([], pa.string()))
    assert refusal(path) == ["holds no points; points of at least two classes are needed"]


def test_a_missing_file_is_named(tmp_path):
    assert refusal(tmp_path / "none.parquet") == ["there is no such file"]


def test_a_column_that_occurs_twice_is_refused(tmp_path):
    table = pa.Table.from_arrays(
        [pa.array(FEATURES, FLOATS), *[pa.array(LABELS)] * 2], ["features", "label", "label"]
    )
    pq.write_table(table, tmp_path / "twice.parquet")
    assert refusal(tmp_path / "twice.parquet") == [
        "column label occurs more than once; keep one of them"
    ]


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n" * 10])
def test_a_file_in_another_format_is_refused(tmp_path, content):
    path = tmp_path / "points.parquet"
    path.write_bytes(content)
    (problem,) = refusal(path)
    assert problem.startswith("cannot be read as Parquet: ")


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "points.parquet"
    sources.write_parquet(data.digits(), path)
    content = bytearray(path.read_bytes())
    content[1000:30000] = bytes(29000)
    path.write_bytes(content)
    (problem,) = refusal(path)
    assert problem.startswith("cannot be read as Parquet: ")
