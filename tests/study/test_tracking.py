"""MLflow mirrors the record: live or later, once or twice, through outages and kills."""

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread

import pytest

from study.milestones import in_order, milestones, settled
from tests.level import everything
from tests.study import finished_studies, mlflow_contents
from tests.study.finished_studies import COMBINATIONS, TESTED, TRIALS
from tests.study.mlflow_contents import artifacts, database, runs

SEARCHED = "mlp+mean+triplet-0001"
PRUNED = "mlp+mean+triplet-0000"
CONFIRMED = f"{SEARCHED}-confirm-1"
ALL = 1 + TRIALS + TESTED
NOTE = "mlflow.note.content"
PATIENCE_SECONDS = 60


@pytest.fixture(scope="module")
def synced(tmp_path_factory):
    """A whole study, brought to the default place by one sync."""
    from study.sync import sync

    record = finished_studies.copy(tmp_path_factory.mktemp("synced"))
    return record, sync(record, None)


def track(record, *added):
    """Follows a record while results are published, as a driver does."""
    from study.tracking import Tracker

    with Tracker(record) as tracker:
        for result in added:
            tracker.notify(finished_studies.publish(record, result))


def metrics_of(record, run):
    return sorted(mlflow_contents.history(database(record), run))


def tags_of(record, run):
    tags = run.data.tags
    return {name: tags[name] for name in tags if name not in ("study.id", "study.digest")}


def own_metrics(record):
    """Latest values of the study's own run, once there is one."""
    found = runs(database(record)) if exists(record) else {}
    return found["tiny"].data.metrics if "tiny" in found else {}


def exists(record):
    return mlflow_contents.client(database(record)).get_experiment_by_name("tiny") is not None


def statuses(uri):
    return {name: run.info.status for name, run in runs(uri).items()}


def writer_of(record):
    """Process id of what writes a record to MLflow, from Linux's table of processes."""
    (found,) = (
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if f"study.follower\0{record.folder}\0" in path.read_text()
    )
    return found


def test_sync_says_what_is_held_and_where(synced):
    record, said = synced
    held = f"{ALL} runs and {COMBINATIONS} models"
    assert said == f"{record.folder}: {held} up to date in {database(record)}"


def test_syncing_twice_changes_nothing(synced):
    from study.sync import sync

    record, said = synced
    before = mlflow_contents.everything(database(record))
    assert sync(record, None) == said
    assert mlflow_contents.everything(database(record)) == before


def test_a_run_that_lost_its_digest_is_written_again_and_stays_the_same(synced):
    from study.sync import sync

    record, _ = synced
    uri = database(record)
    before = mlflow_contents.everything(uri)
    client = mlflow_contents.client(uri)
    for run in runs(uri).values():
        client.delete_tag(run.info.run_id, "study.digest")
        client.update_run(run.info.run_id, "RUNNING")
    sync(record, None)
    assert mlflow_contents.everything(uri) == before


def test_following_a_study_gives_what_syncing_it_gives(synced, tmp_path):
    record = finished_studies.copy(tmp_path, phase="nothing")
    track(record, *finished_studies.results(record))
    live, later = runs(database(record)), runs(database(synced[0]))
    assert live.keys() == later.keys()
    for name in live.keys() - {"tiny"}:
        assert live[name].data.metrics == later[name].data.metrics
        assert live[name].data.params == later[name].data.params
        assert live[name].data.tags[NOTE] == later[name].data.tags[NOTE]
    for what in (metrics_of, tags_of):
        assert what(record, live["tiny"]) == what(synced[0], later["tiny"])
    assert mlflow_contents.models(database(record)).keys() == {
        "mlp+mean+triplet",
        "mlp+attention+triplet",
    }


def test_the_studys_own_run_follows_the_study(tmp_path):
    from study.tracking import Tracker

    record = finished_studies.copy(tmp_path, phase="nothing")
    added = in_order(finished_studies.results(record))
    with Tracker(record) as tracker:
        for result in added[:5]:
            tracker.notify(finished_studies.publish(record, result))
        until = time.monotonic() + PATIENCE_SECONDS
        while "progress/share" not in (own := own_metrics(record)) or own["progress/share"] < 0.4:
            assert time.monotonic() < until, "the run does not follow"
            time.sleep(0.2)
        assert own == {p.name: p.value for p in milestones(record, settled(record.results()))}
        assert statuses(database(record))["tiny"] == "RUNNING"


def test_a_notice_does_not_wait_for_the_writer(tmp_path):
    from study.tracking import Tracker

    record = finished_studies.copy(tmp_path, phase="search")
    result = record.results()[0]
    with Tracker(record) as tracker:
        writer = writer_of(record)
        os.kill(writer, signal.SIGSTOP)
        notifying = Thread(target=lambda: [tracker.notify(result) for _ in range(100)], daemon=True)
        notifying.start()
        notifying.join(timeout=10)
        waits = notifying.is_alive()
        os.kill(writer, signal.SIGCONT)
    assert not waits


def test_a_writer_that_dies_costs_one_warning_and_sync_catches_up(tmp_path, caplog):
    from study.sync import sync
    from study.tracking import Tracker

    record = finished_studies.copy(tmp_path, phase="nothing")
    results = finished_studies.results(record)
    with caplog.at_level(logging.WARNING), Tracker(record) as tracker:
        os.kill(writer_of(record), signal.SIGKILL)
        for result in results:
            tracker.notify(finished_studies.publish(record, result))
    (warning,) = caplog.messages
    assert warning == (
        "the process that writes to MLflow died (-9); "
        f"`study sync tiny --root {tmp_path}` catches up"
    )
    assert sync(record, None).startswith(f"{record.folder}: {ALL} runs")


def test_a_writer_ends_when_its_driver_is_gone(tmp_path):
    record = finished_studies.copy(tmp_path, phase="nothing")
    command = [sys.executable, "-m", "study.follower", str(record.folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as writer:
        writer.stdin.close()
        assert writer.wait(timeout=60) == 1


@everything
def test_an_interrupted_study_is_killed_and_a_finished_one_is_finished(tmp_path):
    record = finished_studies.copy(tmp_path, phase="search")
    track(record)
    uri = database(record)
    interrupted = statuses(uri)
    parent = runs(uri)["tiny"].info.run_id
    assert interrupted.pop("tiny") == "KILLED"
    assert set(interrupted.values()) == {"FINISHED"}
    track(record, *finished_studies.results(record))
    assert set(statuses(uri).values()) == {"FINISHED"}
    assert len(statuses(uri)) == ALL
    assert runs(uri)["tiny"].info.run_id == parent


def test_runs_that_a_killed_driver_left_are_taken_up(tmp_path):
    from study.mirror import Mirror
    from study.projection import of_study, of_trial
    from study.tracking_server import exclusive

    record = finished_studies.copy(tmp_path)
    uri = database(record)
    with exclusive(record):
        mirror = Mirror(record, uri)
        mirror.write(of_study(record, record.results(), is_at_work=True))
        result = record.result(SEARCHED)
        projection = of_trial(record, result)
        tags = {"study.id": record.identity, "study.key": SEARCHED}
        tags["mlflow.parentRunId"] = mirror.run_id("tiny")
        mirror.client.create_run(mirror.experiment, projection.started, tags, projection.key)
    left = runs(uri)
    assert statuses(uri) == {"tiny": "RUNNING", SEARCHED: "RUNNING"}
    track(record)
    found = runs(uri)
    assert len(found) == ALL
    assert {run.info.status for run in found.values()} == {"FINISHED"}
    assert {name: found[name].info.run_id for name in left} == {
        name: run.info.run_id for name, run in left.items()
    }


@everything
def test_a_server_that_is_down_costs_one_warning_and_sync_catches_up(tmp_path, caplog):
    from study.sync import sync

    port = mlflow_contents.free_port()
    uri = f"http://secret@127.0.0.1:{port}"
    record = finished_studies.copy(tmp_path, uri, phase="nothing")
    with caplog.at_level(logging.WARNING):
        began = time.monotonic()
        track(record, *finished_studies.results(record))
        # MLflow itself would try again for four minutes at each call.
        assert time.monotonic() - began < 100
    (warning,) = caplog.messages
    assert warning.startswith(f"MLflow at http://127.0.0.1:{port} cannot be written")
    assert warning.endswith(f"`study sync tiny --root {tmp_path}` catches up")
    assert "secret" not in warning
    with mlflow_contents.serving(tmp_path, port) as address:
        said = sync(record, None)
        assert said.endswith(f"{ALL} runs and 2 models up to date in {address}")
        before = mlflow_contents.everything(address)
        assert sync(record, None) == said
        assert mlflow_contents.everything(address) == before
        kept = artifacts(address, runs(address)[SEARCHED])
    assert sorted(kept) == ["bound_gap.png", "bounds.parquet", "weights.safetensors"]
    assert (tmp_path / "artifacts").is_dir()


def test_two_studies_of_one_name_share_an_experiment_and_no_runs(tmp_path):
    from study.sync import sync

    uri = f"sqlite:///{tmp_path / 'first' / 'mlflow.db'}"
    for root in ("first", "second"):
        said = sync(finished_studies.copy(tmp_path / root, phase="search"), uri)
        assert f"{1 + TRIALS} runs" in said
    found = mlflow_contents.client(uri).search_runs([mlflow_contents.experiment(uri)])
    assert len(found) == 2 * (1 + TRIALS)


def test_only_one_process_writes_a_study(tmp_path):
    from study.errors import RecordError
    from study.sync import sync
    from study.tracking_server import exclusive

    record = finished_studies.copy(tmp_path, phase="nothing")
    with exclusive(record), pytest.raises(RecordError, match="written to MLflow by another"):
        sync(record, None)


def test_a_malformed_address_is_an_error(tmp_path):
    from study.errors import TrackingError
    from study.sync import sync
    from study.tracking import Tracker

    record = finished_studies.copy(tmp_path, "htp:/nowhere", phase="nothing")
    with pytest.raises(TrackingError, match="no address MLflow can track to"):
        Tracker(record)
    with pytest.raises(TrackingError, match="no address MLflow can track to"):
        sync(record, "nonsense")


@pytest.mark.parametrize("uri", ["http://secret@127.0.0.1:9", "sqlite:////nowhere/at/all.db"])
def test_syncing_to_nobody_is_an_error_without_secrets(tmp_path, uri):
    from study.errors import TrackingError
    from study.sync import sync

    record = finished_studies.copy(tmp_path, phase="nothing")
    with pytest.raises(TrackingError, match="cannot be written") as caught:
        sync(record, uri)
    assert "secret" not in str(caught.value)


def test_the_environment_is_left_as_it_was(synced, monkeypatch):
    from study.sync import sync

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    before = dict(os.environ)
    sync(synced[0], None)
    assert dict(os.environ) == before
