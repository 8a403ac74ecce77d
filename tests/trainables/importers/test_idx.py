import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from trainables.data import DataError
from trainables.importers import idx
from trainables.sources import open_points, read_parquet, write_parquet

IMAGES = np.arange(4 * 2 * 3, dtype=np.uint8).reshape(4, 2, 3)
LABELS = np.array([7, 0, 7, 0], np.uint8)


def encoded(array):
    return struct.pack(f">{1 + array.ndim}I", 0x0800 | array.ndim, *array.shape) + array.tobytes()


def write_pair(folder, part, images=IMAGES, labels=LABELS, ending="-ubyte"):
    for name, array in (("images-idx3", images), ("labels-idx1", labels)):
        content = encoded(array)
        path = folder / f"{part}{name}{ending}"
        path.write_bytes(gzip.compress(content) if ending.endswith(".gz") else content)


def problems(source):
    with pytest.raises(DataError) as caught:
        idx.read(source)
    folder = source if source.is_dir() else source.parent
    return [text.replace(str(folder), "FOLDER") for text in caught.value.problems]


@pytest.mark.parametrize("ending", ["-ubyte", "-ubyte.gz", ".ubyte"])
@pytest.mark.parametrize("test", ["t10k-", "test-"])
def test_two_pairs_are_an_official_split(tmp_path, ending, test):
    write_pair(tmp_path, test, IMAGES[:1] + 100, np.array([3], np.uint8), ending)
    write_pair(tmp_path, "train-", ending=ending)
    points = idx.read(tmp_path)
    np.testing.assert_array_equal(points.points[:4, 0], IMAGES)
    np.testing.assert_array_equal(points.points[4, 0], IMAGES[0] + 100)
    assert points.classes == ("0", "3", "7")
    assert points.labels.tolist() == [2, 0, 2, 0, 1]
    assert points.is_test.tolist() == [False] * 4 + [True]
    write_parquet(points, tmp_path / "points.parquet")
    assert read_parquet(tmp_path / "points.parquet").digest == points.digest


def test_one_pair_has_no_official_split_however_it_is_named(tmp_path):
    write_pair(tmp_path, "t10k-")
    points = idx.read(tmp_path)
    assert points.is_test is None
    for file in tmp_path.iterdir():
        assert idx.read(file).digest == points.digest


def test_of_several_sets_a_file_names_its_own(tmp_path):
    write_pair(tmp_path, "letters-train-")
    write_pair(tmp_path, "digits-train-", IMAGES + 1)
    points = idx.read(tmp_path / "digits-train-images-idx3-ubyte")
    np.testing.assert_array_equal(points.points[:, 0], IMAGES + 1)
    assert problems(tmp_path) == [
        "FOLDER: holds several sets of IDX files (digits-train-images-idx3-ubyte, "
        "letters-train-images-idx3-ubyte); name one of these files, or give each set a folder of "
        "its own"
    ]


def test_compression_is_seen_in_the_content(tmp_path):
    write_pair(tmp_path, "", ending="-ubyte.gz")
    digest = idx.read(tmp_path).digest
    for file in tmp_path.iterdir():
        file.write_bytes(gzip.decompress(file.read_bytes()))
    assert idx.read(tmp_path).digest == digest


def test_images_are_resized_where_a_size_is_given(tmp_path):
    write_pair(tmp_path, "train-")
    assert idx.read(tmp_path, 5).points.shape == (4, 1, 5, 5)


def test_every_missing_file_is_reported(tmp_path):
    write_pair(tmp_path, "train-")
    write_pair(tmp_path, "t10k-")
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    (tmp_path / "t10k-images-idx3-ubyte").unlink()
    assert problems(tmp_path) == [
        "FOLDER/train-images-idx3-ubyte: lacks its labels; put train-labels-idx1-ubyte or "
        "train-labels-idx1-ubyte.gz beside it",
        "FOLDER/t10k-labels-idx1-ubyte: lacks its images; put t10k-images-idx3-ubyte or "
        "t10k-images-idx3-ubyte.gz beside it",
    ]


def test_every_damaged_file_is_reported(tmp_path):
    write_pair(tmp_path, "train-")
    write_pair(tmp_path, "t10k-")
    for name, content in {
        "train-images-idx3": encoded(IMAGES)[:-1],
        "train-labels-idx1": encoded(IMAGES),
        "t10k-images-idx3": gzip.compress(encoded(IMAGES))[:-9],
        "t10k-labels-idx1": encoded(LABELS)[:6],
    }.items():
        (tmp_path / f"{name}-ubyte").write_bytes(content)
    cut, magic, compressed, header = problems(tmp_path)
    assert cut == (
        "FOLDER/train-images-idx3-ubyte: must hold 24 bytes after its header (4 x 2 x 3), holds "
        "23; download it again"
    )
    assert magic == (
        "FOLDER/train-labels-idx1-ubyte: must begin with the magic number 0x00000801 (unsigned "
        "bytes in 1 dimensions), begins with 0x00000803; is it the right file?"
    )
    assert compressed.startswith("FOLDER/t10k-images-idx3-ubyte: cannot be decompressed: ")
    assert header == "FOLDER/t10k-labels-idx1-ubyte: ends within its header; download it again"


@pytest.mark.parametrize("content", [b"", b"\x00\x08\x03", encoded(IMAGES) + b"\x00"])
def test_an_empty_short_or_long_file_is_reported(tmp_path, content):
    write_pair(tmp_path, "train-")
    (tmp_path / "train-images-idx3-ubyte").write_bytes(content)
    assert len(problems(tmp_path)) == 1


def test_differing_counts_are_reported(tmp_path):
    write_pair(tmp_path, "train-", labels=LABELS[:3])
    assert problems(tmp_path) == [
        "FOLDER/train-images-idx3-ubyte: holds 4 points, but there are 3 labels for them; each "
        "point needs one"
    ]


def test_other_names_are_not_recognised(tmp_path):
    (tmp_path / "images.idx").write_bytes(encoded(IMAGES))
    assert not idx.recognises(tmp_path)
    assert not idx.recognises(tmp_path / "images.idx")


@pytest.mark.data
@pytest.mark.skipif("STUDY_DATA" not in os.environ, reason="needs the data sets")
def test_the_distributed_files_hold_what_is_known_of_them():
    folder = Path(os.environ["STUDY_DATA"])
    points = idx.read(folder)
    assert points.points.shape == (10000, 1, 28, 28)
    assert points.is_test is None
    assert np.bincount(points.labels).tolist() == [1000] * 10
    known = open_points(str(folder / "fashion_mnist.parquet"))
    np.testing.assert_array_equal(points.points, known.points[known.is_test])
