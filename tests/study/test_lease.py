import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import asdict, replace

import pytest

from study import holder, lease
from study.errors import RecordError
from study.holder import Holder
from study.lease import Lease, is_held
from study.lease_place import lease_place
from study.manifest import manifest
from study.proposals import Proposals
from study.record import Record, Trial
from study.storage import open_storage
from tests.study.files import accepted
from trainables.attempt import Outcome

ELSEWHERE = "another boot pid:[1]"
TRIAL = Trial("key", "search", "combination", 0, (1,), {})
OUTCOME = Outcome("complete", "", {}, [], [], 1.0, 2.0)
fork = multiprocessing.get_context("fork")


@pytest.fixture(params=["file", "database"])
def record(request, tmp_path):
    changes = [f"storage.database: sqlite:///{tmp_path}/study.db"]
    study = accepted(tmp_path, *(changes if request.param == "database" else []))
    return Record.create(tmp_path / "small", manifest(study))


@pytest.fixture
def short_beats(monkeypatch):
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.05)


def hold(record, **values):
    """The lease of another driver."""
    place = lease_place(record)
    wanted = replace(Holder.here(), counter=5, **values)
    assert place.swap(place.read(), wanted)
    return wanted


def started(work, record):
    """A process that does some work on a record, and our end of a pipe to it."""
    ours, theirs = fork.Pipe()
    process = fork.Process(target=work, args=(record, theirs))
    process.start()
    return process, ours


def rest(held):
    """Ends the beats of a lease: who is frozen in one keeps SQLite from everybody else."""
    held._stopped.set()
    held._beat.join()


def take(record, pipe):
    pipe.recv()
    try:
        with Lease(record):
            pipe.send("took it")
            pipe.recv()
    except RecordError as error:
        pipe.send(error.problems[0])


@contextmanager
def driving(record, pipe):
    """A driver at work, until it is refused; what is given has it wait."""

    def pause():
        rest(held)
        pipe.send("planned")
        pipe.recv()

    with Lease(record) as held:
        record.guard = held.require
        try:
            yield pause
            pipe.send("went on")
        except RecordError as error:
            pipe.send(error.problems[0])


def publish(record, pipe):
    with driving(record, pipe) as pause:
        record.plan(TRIAL)
        pause()
        record.publish(TRIAL, 1, OUTCOME)


def propose(record, pipe):
    with driving(record, pipe) as pause:
        (combination,) = accepted(record.folder.parent).combinations
        proposals = Proposals(record, combination, open_storage(record))
        record.plan(proposals.ask())
        pause()
        record.plan(proposals.ask())


def files(record):
    """What every file of a study holds, but the lease."""
    paths = [path for path in record.folder.rglob("*") if path.is_file()]
    return {path: path.read_bytes() for path in paths if not path.name.startswith("lease")}


def gone():
    """A process that nobody has any more."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        return process.pid


def test_a_lease_names_its_holder_while_it_is_held_and_nobody_after(record):
    with Lease(record):
        found = lease_place(record).read()
        assert (found.host, found.process) == (socket.gethostname(), os.getpid())
        assert is_held(record)
    assert lease_place(record).read() is None
    assert not is_held(record)


def test_the_counter_moves_while_the_lease_is_held(record, short_beats):
    with Lease(record):
        deadline = time.monotonic() + 60
        while lease_place(record).read().counter < 3:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_lease_held_by_a_living_process_is_refused_and_named(record):
    other = hold(record, process=os.getppid(), started=holder._started(os.getppid()))
    assert is_held(record)
    with pytest.raises(RecordError) as caught, Lease(record):
        pass
    assert caught.value.problems == [
        f"is in use by process {os.getppid()} on {socket.gethostname()}; wait for it or stop it "
        "there"
    ]
    assert lease_place(record).read() == other


@pytest.mark.parametrize("number", ["unused", "used again"])
def test_a_lease_of_a_process_that_is_gone_is_taken_over(record, number):
    values = {"process": gone()} if number == "unused" else {"process": os.getppid(), "started": 1}
    hold(record, **values)
    assert not is_held(record)
    with Lease(record):
        assert lease_place(record).read().process == os.getpid()


def test_a_process_that_nobody_has_buried_is_gone(record):
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    hold(record, process=child.pid, started=1)
    assert not is_held(record)
    child.wait()


def test_a_lease_of_another_machine_whose_counter_stands_still_is_taken_over(record, short_beats):
    hold(record, machine=ELSEWHERE)
    with Lease(record):
        assert lease_place(record).read().machine == holder.machine()


def test_a_lease_of_another_machine_whose_counter_moves_is_refused(record, short_beats):
    other = hold(record, machine=ELSEWHERE, host="elsewhere", process=1)
    moved = replace(other, counter=6)
    mover = threading.Timer(0.1, lambda: lease_place(record).swap(other, moved))
    mover.start()
    with pytest.raises(RecordError, match="is in use by process 1 on elsewhere"), Lease(record):
        pass
    mover.join()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"host": 1, "process": "x"}', "\udcff"])
def test_a_torn_lease_holds_nobody_out(tmp_path, text):
    record = Record.create(tmp_path / "small", manifest(accepted(tmp_path)))
    file = record.folder / "lease.json"
    file.write_text(text, errors="surrogateescape")
    assert not is_held(record)
    with Lease(record):
        assert json.loads(file.read_text()) == asdict(lease_place(record).read())


def test_of_several_drivers_that_start_at_once_one_takes_the_lease(record):
    drivers = [started(take, record) for _ in range(8)]
    for _, pipe in drivers:
        pipe.send("go")
    answers = [pipe.recv() for _, pipe in drivers]
    winner, pipe = drivers[answers.index("took it")]
    refusal = f"is in use by process {winner.pid} on {socket.gethostname()}; "
    assert sum(answer.startswith(refusal) for answer in answers) == 7
    pipe.send("done")
    for driver, _ in drivers:
        driver.join()
    assert not is_held(record)


@pytest.mark.parametrize("work", [publish, propose])
def test_a_frozen_driver_whose_lease_was_taken_leaves_nothing(
    record, short_beats, monkeypatch, work
):
    frozen, pipe = started(work, record)
    assert pipe.recv() == "planned"
    os.kill(frozen.pid, signal.SIGSTOP)
    monkeypatch.setattr(holder, "machine", lambda: ELSEWHERE)
    with Lease(record):
        before = files(record)
        pipe.send("go on")
        os.kill(frozen.pid, signal.SIGCONT)
        refusal = f"is in use by process {os.getpid()} on {socket.gethostname()}; "
        assert pipe.recv().startswith(refusal)
        frozen.join()
        assert files(record) == before
        assert lease_place(record).read().process == os.getpid()


def test_a_driver_that_was_only_slow_keeps_its_lease(record, short_beats):
    with Lease(record) as held:
        record.guard = held.require
        record.plan(TRIAL)
        rest(held)
        time.sleep(0.5)
        record.publish(TRIAL, 1, OUTCOME)
    assert len(record.results()) == 1


def test_a_lease_taken_away_by_hand_is_lost(record):
    with Lease(record) as held:
        place = lease_place(record)
        place.swap(place.read(), None)
        held._move()
        with pytest.raises(RecordError, match="is in use by another driver"):
            held.require()


def test_a_move_whose_answer_was_lost_loses_nothing(record):
    with Lease(record) as held:
        place = lease_place(record)
        arrived = place.read()
        assert place.swap(arrived, replace(arrived, counter=arrived.counter + 1))
        held._move()
        held._move()
        held.require()
        assert place.read().counter == arrived.counter + 2
