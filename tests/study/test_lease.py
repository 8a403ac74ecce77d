import json
import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from study import lease
from study.errors import RecordError
from study.lease import Lease, is_held


def hold(folder, **values):
    """The lease of another driver."""
    holder = {"host": socket.gethostname(), "process": 1, "counter": 5} | values
    (folder / "lease.json").write_text(json.dumps(holder))


@pytest.fixture
def gone():
    """A process number that nobody has."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.fixture
def short_beats(monkeypatch):
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.05)


def test_a_lease_is_a_file_while_it_is_held_and_nothing_after(tmp_path):
    with Lease(tmp_path):
        holder = json.loads((tmp_path / "lease.json").read_text())
        assert (holder["host"], holder["process"]) == (socket.gethostname(), os.getpid())
    assert list(tmp_path.iterdir()) == []


def test_the_counter_moves_while_the_lease_is_held(tmp_path, short_beats):
    with Lease(tmp_path):
        deadline = time.monotonic() + 10
        while json.loads((tmp_path / "lease.json").read_text())["counter"] < 3:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_lease_held_by_a_living_process_is_refused_and_named(tmp_path):
    hold(tmp_path, process=os.getppid())
    assert is_held(tmp_path)
    with pytest.raises(RecordError) as caught, Lease(tmp_path):
        pass
    assert caught.value.problems == [
        f"is in use by process {os.getppid()} on {socket.gethostname()}; wait for it or stop it "
        "there"
    ]
    assert (tmp_path / "lease.json").exists()


def test_a_lease_of_a_process_that_is_gone_is_taken_over(tmp_path, gone):
    hold(tmp_path, process=gone)
    assert not is_held(tmp_path)
    with Lease(tmp_path):
        assert json.loads((tmp_path / "lease.json").read_text())["process"] == os.getpid()


def test_a_lease_of_another_machine_whose_counter_stands_still_is_taken_over(tmp_path, short_beats):
    hold(tmp_path, host="elsewhere")
    with Lease(tmp_path):
        assert json.loads((tmp_path / "lease.json").read_text())["process"] == os.getpid()


def test_a_lease_of_another_machine_whose_counter_moves_is_refused(tmp_path, short_beats):
    hold(tmp_path, host="elsewhere")
    mover = threading.Timer(0.1, hold, [tmp_path], {"host": "elsewhere", "counter": 6})
    mover.start()
    with pytest.raises(RecordError, match="is in use by process 1 on elsewhere"), Lease(tmp_path):
        pass
    mover.join()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"host": 1, "process": "x"}'])
def test_a_torn_lease_holds_nobody_out(tmp_path, text):
    (tmp_path / "lease.json").write_text(text)
    assert not is_held(tmp_path)
    with Lease(tmp_path):
        pass


def test_a_folder_without_a_lease_is_free(tmp_path):
    assert not is_held(tmp_path)
