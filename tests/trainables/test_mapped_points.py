"""Points that are more than memory should hold: mapped, and in nothing else different."""

import os
import pickle
import resource
import shutil
import signal
import subprocess
import sys
from collections import namedtuple
from contextlib import contextmanager
from dataclasses import fields

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.trainables import trials
from trainables import decoding, node_files, sources
from trainables.data import DataError, point_set
from trainables.sources import read_parquet, write_parquet
from trainables.training import TrialRun

ROWS, FEATURES, PART = 5000, 16_000, 250
ALLOWED_MIB = 205
TRIAL = """
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.trainables.trials import RULES, TrialTask, nested, study_of, task_of
from trainables import sources
from trainables.evaluation import Protocol
from trainables.limits import Limits
from trainables.splits import Split
from trainables.tasks import StudyData
from trainables.training import TrialRun

path, mebibytes = sys.argv[1:]
sources.MAPPED_SHARE = 0.0
TrialRun(task_of(epochs=1), study_of(), RULES).run()  # imports what a trial needs
Limits(memory=int(mebibytes) << 20).cap_memory()
points = sources.read_parquet(Path(path))
rows = np.arange(len(points))
final = Split(rows[::16], rows[rows % 4 > 0])
parts = {"encoder": {"mlp": {"width": 6, "hidden": 8}}, "aggregator": {"mean": {}}}
task = TrialTask("trial", "confirmation", nested(parts, epochs=1), (1,))
rules = replace(RULES, protocol=Protocol((2,), draws=1, seed=0))
outcome = TrialRun(task, StudyData(points, (), final), rules).run()
print(outcome.state, len(points))
"""
READING = """
import sys
from pathlib import Path

from trainables import sources
from trainables.limits import Limits

path, mebibytes = sys.argv[1:]
Limits(memory=int(mebibytes) << 20).cap_memory()
print(len(sources.read_parquet(Path(path))))
"""
ASKING = """
import sys, time
from pathlib import Path

from trainables import decoding, sources

path, log = map(Path, sys.argv[1:])
decode = decoding.streamed

def streamed(*arguments):
    with log.open("a") as file:
        file.write("decoded ")
    time.sleep(1.0)  # until the other asks too
    return decode(*arguments)

decoding.streamed = streamed
sources.MAPPED_SHARE = 0.0
print(sources.read_parquet(path).digest)
"""


@pytest.fixture(autouse=True)
def node(tmp_path, monkeypatch):
    """The folder of a node's files; files of a few points are decoded in several batches."""
    monkeypatch.setenv(node_files.VARIABLE, str(tmp_path / "node"))
    monkeypatch.setattr(decoding, "BATCH_BYTES", 64)
    return tmp_path / "node"


@pytest.fixture
def mapped(monkeypatch):
    """Reads a file as if it were too large for memory."""

    def read(path):
        with monkeypatch.context() as patch:
            patch.setattr(sources, "MAPPED_SHARE", 0.0)
            return read_parquet(path)

    return read


def point_sets():
    """Points of every kind and with every column, by name."""
    clouds, images = trials.clouds(), trials.images()
    columns = {"groups": np.arange(140) // 4, "is_test": np.arange(140) % 3 == 0}
    names = [f"class {label}" for label in range(7)]
    return {
        "features": clouds,
        "images": images,
        "every column": point_set(images.points, images.labels, names, "all", **columns),
    }


@pytest.fixture(params=point_sets())
def written(request, tmp_path):
    path = tmp_path / "points.parquet"
    write_parquet(point_sets()[request.param], path)
    return path


def assert_same(one, other):
    for field in fields(one):
        if field.name != "remap":
            np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))


def program(text, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", text, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # What Arrow's own allocator only reserves would count towards a limit.
        env={**os.environ, "PYTHONPATH": os.getcwd(), "ARROW_DEFAULT_MEMORY_POOL": "system"},
    )


def test_mapped_points_are_those_in_memory(written, mapped, monkeypatch):
    in_memory = read_parquet(written)
    assert in_memory.remap is None
    for found in (mapped(written), mapped(written)):
        assert found.remap is not None
        assert isinstance(found.points.base, np.memmap)
        assert not found.points.flags.writeable
        assert_same(found, in_memory)


def test_images_as_lists_are_mapped_alike(tmp_path, mapped):
    path, pixels = tmp_path / "points.parquet", trials.images().points
    table = {
        "image": pa.array(pixels.reshape(len(pixels), -1).tolist(), pa.list_(pa.uint8())),
        "label": pa.array(trials.images().labels),
    }
    sides = {"height": "16", "width": "16"}
    pq.write_table(pa.table(table, metadata=sides), path, row_group_size=33)
    assert_same(mapped(path), read_parquet(path))


def test_only_points_of_more_than_a_share_of_the_memory_are_mapped(tmp_path, monkeypatch):
    path, size = tmp_path / "points.parquet", trials.clouds().points.nbytes
    write_parquet(trials.clouds(), path)
    monkeypatch.setattr(sources, "MAPPED_SHARE", 0.25)
    for memory, is_mapped in ((4 * size, False), (4 * size - 4, True)):
        monkeypatch.setattr(sources, "memory_bytes", lambda memory=memory: memory)
        assert (read_parquet(path).remap is not None) == is_mapped


@pytest.mark.parametrize("kind", [pa.list_(pa.float64()), pa.list_(pa.int8(), 5)], ids=str)
def test_the_size_of_points_is_known_before_they_are_read(tmp_path, kind):
    rows = np.arange(35).reshape(7, 5).tolist()
    pq.write_table(pa.table({"features": pa.array(rows, kind)}), tmp_path / "features.parquet")
    images = {"image": pa.array([bytes(6)] * 7)}  # which compress to nothing
    sides = {"height": "2", "width": "3"}
    pq.write_table(pa.table(images, metadata=sides), tmp_path / "images.parquet")
    assert decoding.decoded_bytes(pq.ParquetFile(tmp_path / "features.parquet")) == 7 * 5 * 4
    assert decoding.decoded_bytes(pq.ParquetFile(tmp_path / "images.parquet")) == 7 * 6


def test_a_trial_gives_the_same_figures_on_mapped_points(tmp_path, mapped):
    write_parquet(trials.clouds(), tmp_path / "points.parquet")
    outcomes = [
        TrialRun(trials.task_of(epochs=2), trials.study_of(points), trials.RULES).run()
        for points in (trials.clouds(), mapped(tmp_path / "points.parquet"))
    ]
    assert trials.timeless(outcomes[0]) == trials.timeless(outcomes[1])


def test_a_file_with_problems_leaves_nothing_on_the_node(tmp_path, mapped, node):
    features = np.ones((30, 4), np.float32)
    features[[17, 23], 2] = np.nan, np.inf
    kind = pa.list_(pa.float32(), 4)
    values = pa.FixedSizeListArray.from_arrays(pa.array(features.reshape(-1)), type=kind)
    labels = pa.array(["a", None] * 15)
    path = tmp_path / "points.parquet"
    pq.write_table(pa.table({"features": values, "label": labels}), path, row_group_size=7)
    told = []
    for read in (read_parquet, mapped):
        with pytest.raises(DataError) as caught:
            read(path)
        told.append(caught.value.problems)
    assert told[0] == told[1]
    assert [problem.removeprefix(f"{path}: ") for problem in told[1]] == [
        "column label is null in 15 of 30 rows, the first is row 1; fill or remove them",
        "features are NaN or infinite in 2 of 30 points, the first is row 17; remove or repair "
        "them",
    ]
    assert [file.suffix for file in node.iterdir()] == [".lock"]


@contextmanager
def no_room(monkeypatch):
    usage = namedtuple("usage", "free")
    with monkeypatch.context() as patch:
        patch.setattr(decoding.shutil, "disk_usage", lambda path: usage(140 * 5 * 4 - 1))
        yield "No space left on device"


@contextmanager
def no_large_files(monkeypatch):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 10, hard))
    try:
        yield "File too large"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


@pytest.mark.parametrize("lacking", [no_room, no_large_files])
def test_a_full_disk_names_the_place_and_the_remedy(tmp_path, mapped, node, monkeypatch, lacking):
    path = tmp_path / "points.parquet"
    write_parquet(trials.clouds(), path)
    with lacking(monkeypatch) as reason, pytest.raises(DataError) as caught:
        mapped(path)
    assert caught.value.problems == [
        f"{path}: its points are more than memory holds, and cannot be kept in {node}: {reason}; "
        "make room there, or name another folder of this node with GROUPSTUDY_POINTS"
    ]
    assert [file.suffix for file in node.iterdir()] == [".lock"]
    assert mapped(path).digest == trials.clouds().digest


def test_a_pickle_says_where_mapped_points_come_from(tmp_path, mapped, monkeypatch):
    points = trials.clouds(features=500)
    write_parquet(points, tmp_path / "points.parquet")
    monkeypatch.chdir(tmp_path)
    pickled = pickle.dumps(mapped(tmp_path.relative_to(tmp_path) / "points.parquet"))
    assert len(pickled) < points.points.nbytes / 50
    monkeypatch.chdir("/")  # a process of Ray works elsewhere
    found = pickle.loads(pickled)
    assert isinstance(found.points.base, np.memmap)
    assert found.source == "points.parquet"
    assert found.digest == points.digest
    np.testing.assert_array_equal(found.points, points.points)
    assert len(pickle.dumps(found)) < points.points.nbytes / 50


def test_what_else_was_changed_travels_with_mapped_points(tmp_path, mapped):
    write_parquet(point_sets()["every column"], tmp_path / "points.parquet")
    found = pickle.loads(pickle.dumps(mapped(tmp_path / "points.parquet").without_groups()))
    assert found.groups is None
    assert found.is_test is not None


def test_points_in_memory_travel_themselves():
    points = trials.clouds()
    found = pickle.loads(pickle.dumps(points))
    assert found.remap is None
    assert_same(found, points)


def test_a_node_without_the_file_makes_it_once(tmp_path, mapped, node, monkeypatch):
    write_parquet(trials.clouds(), tmp_path / "points.parquet")
    pickled = pickle.dumps(mapped(tmp_path / "points.parquet"))
    shutil.rmtree(node)
    decoded = []
    decode = decoding.streamed
    monkeypatch.setattr(decoding, "streamed", lambda *paths: decoded.append(1) or decode(*paths))
    for _ in range(2):
        assert_same(pickle.loads(pickled), mapped(tmp_path / "points.parquet"))
    assert decoded == [1]


def test_a_node_that_cannot_read_the_source_says_so(tmp_path, mapped, monkeypatch):
    path = tmp_path / "points.parquet"
    write_parquet(trials.clouds(), path)
    pickled = pickle.dumps(mapped(path))
    path.unlink()
    monkeypatch.setattr(sources, "gethostname", lambda: "worker")
    with pytest.raises(DataError) as caught:
        pickle.loads(pickled)
    assert caught.value.problems == [
        f"{path}: on worker: cannot be read: No such file or directory; points of this size are "
        "read on every node, from under the same path"
    ]
    assert pickle.loads(pickle.dumps(caught.value)).problems == caught.value.problems


def test_a_source_that_holds_something_else_by_now_is_refused(tmp_path, mapped, monkeypatch):
    path = tmp_path / "points.parquet"
    write_parquet(trials.clouds(), path)
    pickled = pickle.dumps(mapped(path))
    os.utime(path)
    assert pickle.loads(pickled).digest == trials.clouds().digest
    write_parquet(trials.clouds(apart=2.0), path)
    monkeypatch.setattr(sources, "gethostname", lambda: "worker")
    with pytest.raises(DataError) as caught:
        pickle.loads(pickled)
    assert caught.value.problems == [
        f"{path}: on worker: holds other points than where they were opened first; put back what "
        "it held, or launch again"
    ]


def test_of_two_processes_that_ask_at_once_one_decodes(tmp_path):
    path, log = tmp_path / "points.parquet", tmp_path / "log"
    write_parquet(trials.clouds(), path)
    processes = [program(ASKING, path, log) for _ in range(2)]
    answers = [process.communicate(timeout=120) for process in processes]
    digests = [output.split() for output, _ in answers]
    assert digests == [[trials.clouds().digest]] * 2, answers
    assert log.read_text() == "decoded "


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A small file of points that take 305 MiB; those held out take 229."""
    path = tmp_path_factory.mktemp("large") / "points.parquet"
    random = np.random.default_rng(0)
    labels = np.arange(PART) % 10
    pixels = random.integers(0, 4, (10, FEATURES))[labels]
    pixels += random.integers(0, 2, (PART, FEATURES))
    label = pa.array(labels)
    schema = pa.schema({"features": pa.list_(pa.float32(), FEATURES), "label": label.type})
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for number in range(ROWS // PART):
            numbers = pa.array((pixels + number).astype(np.float32).reshape(-1))
            features = pa.FixedSizeListArray.from_arrays(numbers, FEATURES)
            writer.write_table(pa.table([features, label], schema))
    assert path.stat().st_size < ROWS * FEATURES * 4 / 10
    return path


def test_a_trial_takes_less_memory_than_its_points(large):
    asked = program(TRIAL, large, ALLOWED_MIB)
    output, errors = asked.communicate(timeout=240)
    assert output.split() == ["complete", str(ROWS)], errors


def test_in_memory_the_same_points_do_not_fit(large):
    asked = program(READING, large, ALLOWED_MIB)
    output, errors = asked.communicate(timeout=240)
    assert asked.returncode != 0
    assert output == ""
    assert "malloc" in errors
