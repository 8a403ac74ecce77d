"""Files that a node keeps of a source: whole or not at all, once, and of its present content."""

import os
from pathlib import Path

import numpy as np
import pytest

from trainables import node_files
from trainables.node_files import NodeFileError, stored


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    monkeypatch.setenv(node_files.VARIABLE, str(tmp_path / "node"))
    return tmp_path / "node"


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source.parquet"
    path.write_text("1 2 3")
    return path


def numbers(source, made):
    """What makes the files of a source that holds numbers, and notes that it was asked."""

    def make(folder):
        made.append(folder)
        np.save(folder / "numbers.npy", np.array(source.read_text().split(), np.float32))
        return {"name": "ä"}

    return make


def entries(root):
    return {path.name for path in root.iterdir() if path.suffix != ".lock"}


def test_arrays_are_made_once_mapped_read_only_and_come_with_their_notes(source, root):
    made = []
    first, again = (stored(source, numbers(source, made)) for _ in range(2))
    assert len(made) == 1
    for found in (first, again):
        assert found.notes == {"name": "ä"}
        assert found.arrays["numbers"].tolist() == [1, 2, 3]
        assert isinstance(found.arrays["numbers"].base, np.memmap)
        assert not found.arrays["numbers"].flags.writeable


def test_a_changed_source_takes_the_place_of_what_others_still_map(source, root):
    before = stored(source, numbers(source, []))
    source.write_text("4 5 6")
    after = stored(source, numbers(source, []))
    assert before.arrays["numbers"].tolist() == [1, 2, 3]
    assert after.arrays["numbers"].tolist() == [4, 5, 6]
    assert len(entries(root)) == 1


def test_a_source_replaced_by_one_of_its_size_and_time_is_another(source, tmp_path):
    stored(source, numbers(source, []))
    times = source.stat().st_atime_ns, source.stat().st_mtime_ns
    other = tmp_path / "other"
    other.write_text("7 8 9")
    os.utime(other, ns=times)
    other.replace(source)
    assert source.stat().st_mtime_ns == times[1]
    assert stored(source, numbers(source, [])).arrays["numbers"].tolist() == [7, 8, 9]


def test_sources_of_one_name_in_different_folders_are_kept_apart(source, tmp_path, root):
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / source.name
    other.write_text("7 8 9")
    for path in (source, other, source):
        found = stored(path, numbers(path, [])).arrays["numbers"]
        assert found.tolist() == [float(number) for number in path.read_text().split()]
    assert len(entries(root)) == 2


@pytest.mark.parametrize("lost", ["numbers.npy", "notes.json"])
def test_what_lost_a_part_is_made_again(source, root, lost):
    stored(source, numbers(source, []))
    (entry,) = entries(root)
    (root / entry / lost).unlink()
    assert stored(source, numbers(source, [])).arrays["numbers"].tolist() == [1, 2, 3]


def test_a_file_that_was_cut_short_is_made_again(source, root):
    stored(source, numbers(source, []))
    (entry,) = entries(root)
    os.truncate(root / entry / "numbers.npy", 130)
    assert stored(source, numbers(source, [])).arrays["numbers"].tolist() == [1, 2, 3]


def test_what_cannot_be_made_leaves_nothing(source, root):
    def make(folder):
        (folder / "half.npy").write_bytes(b"half")
        raise KeyError("half")

    with pytest.raises(KeyError):
        stored(source, make)
    assert entries(root) == set()


def test_what_a_killed_process_left_is_removed(source, root):
    stored(source, numbers(source, []))
    (entry,) = entries(root)
    unfinished = root / f".{entry}.partial"
    unfinished.mkdir()
    (unfinished / "half.npy").write_bytes(b"half")
    source.write_text("4 5 6")
    assert stored(source, numbers(source, [])).arrays.keys() == {"numbers"}
    assert entries(root) == {entry}


def test_a_source_that_changes_meanwhile_is_refused(source, root):
    def make(folder):
        source.write_text("4 5 6 7")
        return {}

    with pytest.raises(NodeFileError, match="^changed while it was read; try again when it is"):
        stored(source, make)
    assert entries(root) == set()


def test_a_source_that_is_gone_is_named(tmp_path):
    with pytest.raises(NodeFileError, match="^cannot be read: No such file or directory$"):
        stored(tmp_path / "none.parquet", lambda folder: {})


def test_a_folder_that_cannot_be_is_named_with_the_remedy(source, tmp_path, monkeypatch):
    monkeypatch.setenv(node_files.VARIABLE, str(source / "node"))
    with pytest.raises(NodeFileError) as caught:
        stored(source, lambda folder: {})
    assert str(caught.value) == (
        f"its points are more than memory holds, and cannot be kept in {source / 'node'}: Not a "
        "directory; make room there, or name another folder of this node with GROUPSTUDY_POINTS"
    )


def test_without_a_name_the_folder_is_the_users_alone(source, tmp_path, monkeypatch):
    monkeypatch.delenv(node_files.VARIABLE)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    stored(source, numbers(source, []))
    folder = tmp_path / f"groupstudy-{os.getuid()}"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert len(entries(folder)) == 1


def test_a_folder_that_another_user_made_is_refused(source, tmp_path, monkeypatch):
    monkeypatch.delenv(node_files.VARIABLE)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(node_files.os, "getuid", lambda: 12345)
    folder = tmp_path / "groupstudy-12345"
    folder.mkdir()
    with pytest.raises(NodeFileError) as caught:
        stored(source, numbers(source, []))
    assert str(caught.value) == (
        f"{folder} belongs to another user; name a folder with GROUPSTUDY_POINTS"
    )
    assert list(Path(folder).iterdir()) == []
