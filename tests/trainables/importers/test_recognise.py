import zipfile
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from trainables.data import DataError
from trainables.importers.recognise import import_points

IMAGES = np.arange(2 * 2 * 3, dtype=np.uint8).reshape(2, 2, 3)


def png(value):
    file = BytesIO()
    Image.new("L", (3, 2), value).save(file, "PNG")
    return file.getvalue()


def images_by_class(folder):
    for row, name in enumerate("ab"):
        (folder / name).mkdir()
        (folder / name / "1.png").write_bytes(png(row))
    return folder


def npz(folder):
    np.savez(folder / "points.npz", x=IMAGES, y=[0, 1])
    return folder / "points.npz"


def idx_pair(folder):
    header = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3])
    (folder / "t10k-images-idx3-ubyte").write_bytes(header + IMAGES.tobytes())
    (folder / "t10k-labels-idx1-ubyte").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 2, 0, 1]))
    (folder / "other.parquet").write_bytes(b"of no concern")
    return folder


def omniglot(folder):
    with zipfile.ZipFile(folder / "images_background.zip", "w") as archive:
        for name in ("character01", "character02"):
            archive.writestr(f"images_background/Greek/{name}/1_01.png", png(0))
    return folder


def unpacked_omniglot(folder):
    with zipfile.ZipFile(omniglot(folder) / "images_background.zip") as archive:
        archive.extractall(folder)
    (folder / "images_background.zip").unlink()
    return folder


@pytest.mark.parametrize(
    ("make", "classes"),
    [
        (images_by_class, ("a", "b")),
        (npz, ("0", "1")),
        (idx_pair, ("0", "1")),
        (omniglot, ("Greek/character01", "Greek/character02")),
        (unpacked_omniglot, ("Greek/character01", "Greek/character02")),
    ],
)
def test_every_format_is_recognised_and_resized(tmp_path, make, classes):
    points = import_points(make(tmp_path), 4)
    assert points.classes == classes
    assert points.shape == (1, 4, 4)


def test_a_source_that_is_missing_is_reported(tmp_path):
    with pytest.raises(DataError) as caught:
        import_points(tmp_path / "missing")
    assert caught.value.problems == [f"{tmp_path}/missing: there is no such file or folder"]


@pytest.mark.parametrize(
    ("name", "what"),
    [("empty", "is an empty folder"), ("full", "is in no known format"), ("full/a.txt", "is in")],
)
def test_a_source_in_no_known_format_is_told_the_known_ones(tmp_path, name, what):
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full/a.txt").touch()
    with pytest.raises(DataError) as caught:
        import_points(tmp_path / name)
    (problem,) = caught.value.problems
    assert problem.startswith(f"{tmp_path / name}: {what}")
    assert "\n" not in problem
    for form in ("Omniglot", "idx3-ubyte", ".npz", "CLASS/*"):
        assert form in problem


def test_a_parquet_file_needs_no_import(tmp_path):
    (tmp_path / "points.parquet").touch()
    with pytest.raises(DataError, match="is Parquet already; name it as data.source"):
        import_points(tmp_path / "points.parquet")


def test_a_source_that_may_not_be_read_is_reported(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied", "inner")

    source = idx_pair(tmp_path)
    # Permission bits would not do: the tests may run as root, who may read anything.
    monkeypatch.setattr(type(source), "read_bytes", refuse)
    with pytest.raises(DataError) as caught:
        import_points(source)
    assert caught.value.problems == ["inner: cannot be read: Permission denied"]
