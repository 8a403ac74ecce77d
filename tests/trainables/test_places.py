"""On this machine, and on an object store."""

from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load

from tests.trainables import object_store
from trainables import places
from trainables.attempt import Attempt, Outcome, numbers
from trainables.places import place

OUTCOME = Outcome("complete", "", {"val/map_at_r.size2": 0.5}, [], [], 1.0, 2.0)
NUMBERS = count()


@pytest.fixture(scope="module")
def bucket():
    with object_store.serving() as bucket:
        yield bucket


@pytest.fixture(params=["local", "store"])
def folder(request, tmp_path):
    if request.param == "local":
        return tmp_path
    return place(f"{request.getfixturevalue('bucket')}/{next(NUMBERS)}")


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_text_names_a_path_of_this_machine_or_of_an_object_store(bucket):
    assert place("studies/a") == Path("studies/a")
    remote = place(f"{bucket}/a")
    assert not isinstance(remote, Path)
    assert str(remote / "b") == f"{bucket}/a/b"
    assert place(str(remote / "b")) == remote / "b"


def test_a_file_system_that_nobody_knows_is_refused():
    with pytest.raises(ValueError, match="nonsense"):
        place("nonsense://a/b")


def test_a_file_is_replaced_as_a_whole_and_leaves_nothing_else(folder):
    places.replace(folder / "file", b"long old content")
    places.replace(folder / "file", b"new")
    assert (folder / "file").read_bytes() == b"new"
    assert names_in(folder) == ["file"]


def test_a_file_is_created_once_however_many_want_to(folder):
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda n: places.create(folder / "file", b"%d" % n), range(8)))
    assert (folder / "file").read_bytes() == b"%d" % made.index(True)
    assert (made.count(True), names_in(folder)) == (1, ["file"])


def test_files_of_one_name_are_found_one_folder_below(folder):
    for name in ("b/result.json", "a/result.json", "a/other", "result.json", "a/b/result.json"):
        places.make((folder / name).parent)
        places.replace(folder / name, name.encode())
    found = places.contents(folder, "result.json")
    assert list(found.items()) == [("a", b"a/result.json"), ("b", b"b/result.json")]
    assert places.contents(folder / "nowhere", "result.json") == {}


def test_a_file_is_removed_whether_or_not_it_is_there(folder):
    places.replace(folder / "file", b"")
    for _ in range(2):
        places.remove(folder / "file")
    assert not (folder / "file").exists()


def test_what_was_written_by_others_is_seen_at_once(folder):
    again = place(str(folder))
    assert list(again.glob("*")) == []
    places.replace(folder / "file", b"")
    assert names_in(again) == ["file"]


def test_local_files_stand_in_for_others(folder, tmp_path):
    places.replace(folder / "file", b"content")
    places.stand_in(folder / "file", tmp_path / "standing in")
    places.copy(folder / "file", tmp_path / "copy")
    assert (tmp_path / "standing in").read_bytes() == b"content"
    assert (tmp_path / "copy").read_bytes() == b"content"


def test_a_folder_is_replaced_as_a_whole(folder):
    for number in range(2):
        with places.replaced(folder / "export") as local:
            (local / f"below{number}").mkdir()
            (local / f"below{number}" / "file").write_text("content")
    assert names_in(folder / "export") == ["below1"]
    assert (folder / "export" / "below1" / "file").read_text() == "content"


def test_a_folder_is_not_replaced_by_half_of_one(folder):
    def export(name, error):
        with places.replaced(folder / "export") as local:
            (local / name).write_text("")
            if error:
                raise error

    export("whole", None)
    with pytest.raises(KeyError):
        export("half", KeyError())
    assert names_in(folder / "export") == ["whole"]


def test_no_two_claims_get_the_same_number(folder):
    trial = folder / "trial"
    with ThreadPoolExecutor(8) as pool:
        claimed = [attempt.number for attempt in pool.map(Attempt.claim, [trial] * 16)]
    assert sorted(claimed) == list(range(1, 17))
    assert sorted(numbers(trial)) == sorted(claimed)


def test_an_attempt_leaves_what_its_successor_continues(folder):
    trial = folder / "trial"
    first = Attempt.claim(trial)
    first.save_checkpoint({"weights": torch.ones(2)})
    second = Attempt.claim(trial)
    assert second.checkpoint()["weights"].tolist() == [1.0, 1.0]
    second.save_checkpoint({"weights": torch.zeros(2)})
    assert not first.checkpoint_path.exists()
    first.save_checkpoint({"weights": torch.ones(2)})
    first.finish(OUTCOME)
    assert (first.is_stale, first.outcome()) == (True, None)
    assert second.checkpoint()["weights"].tolist() == [0.0, 0.0]
    second.finish(OUTCOME)
    assert repr(Attempt.finished(trial)) == repr((second, OUTCOME))
    assert not second.checkpoint_path.exists()


def test_tables_and_tensors_are_read_back(folder):
    attempt = Attempt.claim(folder / "trial")
    attempt.save("weights", {"turned": torch.ones(3, 2).T})
    attempt.save("bounds", pa.table({"size": [1, 2]}))
    assert load((attempt.folder / "weights.safetensors").read_bytes())["turned"].shape == (2, 3)
    table = pq.read_table(places.readable(attempt.folder / "bounds.parquet"))
    assert table.to_pydict() == {"size": [1, 2]}
