"""Where a study is tracked, who may write there, and what is said when nobody answers."""

import logging
import os
import socket
import threading
import time

import pytest

from study.errors import RecordError, TrackingError
from study.manifest import manifest
from study.record import Record
from study.tracking_server import (
    SETTINGS,
    address,
    artifact_location,
    catch_up,
    exclusive,
    knock,
    settings,
)
from tests.study.files import accepted


@pytest.fixture
def record(tmp_path):
    return record_of(tmp_path)


def record_of(root, *changes):
    return Record.create(root / "small", manifest(accepted(root, *changes)))


def test_a_study_without_an_address_is_tracked_beside_its_folder(record, tmp_path):
    assert address(record, None) == f"sqlite:///{tmp_path}/mlflow.db"


def test_the_address_of_the_study_file_counts_unless_another_is_given_now(tmp_path):
    record = record_of(tmp_path, "tracking.uri: http://there:5000")
    assert address(record, None) == "http://there:5000"
    assert address(record, "http://here:5000") == "http://here:5000"


def test_a_malformed_address_is_refused(record):
    with pytest.raises(TrackingError, match="no address MLflow can track to, got 'nonsense'"):
        address(record, "nonsense")


@pytest.mark.parametrize("uri", ["sqlite:///mlflow.db", "postgresql://host/mlflow"])
def test_files_of_a_study_tracked_in_a_database_lie_beside_the_study(record, tmp_path, uri):
    assert artifact_location(record, uri) == (tmp_path / "mlartifacts" / "small").as_uri()


@pytest.mark.parametrize("uri", ["http://host:5000", "https://host/mlflow"])
def test_a_server_keeps_files_where_it_wants(record, uri):
    assert artifact_location(record, uri) is None


def test_mlflow_is_impatient_and_quiet_for_as_long_as_it_is_asked(monkeypatch):
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    logger = logging.getLogger("urllib3")
    before = logger.level
    with settings():
        assert {name: os.environ[name] for name in SETTINGS} == SETTINGS
        assert logger.level == logging.ERROR
    assert not set(SETTINGS) & set(os.environ)
    assert logger.level == before


def test_what_the_user_has_set_stays(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    with settings():
        assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "77"
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "77"


def test_settings_are_taken_back_after_an_error(monkeypatch):
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_TIMEOUT", raising=False)
    with pytest.raises(KeyError), settings():
        raise KeyError
    assert "MLFLOW_HTTP_REQUEST_TIMEOUT" not in os.environ


def test_a_second_writer_is_refused_at_once(record):
    with exclusive(record), pytest.raises(RecordError) as caught, exclusive(record):
        pass
    assert caught.value.problems == [
        "is being written to MLflow by another process, which brings it up to date"
    ]


def test_a_patient_writer_waits_for_the_first(record):
    began = time.monotonic()
    is_writing = threading.Event()

    def write():
        with exclusive(record):
            is_writing.set()
            time.sleep(0.3)

    writer = threading.Thread(target=write)
    writer.start()
    is_writing.wait()
    with exclusive(record, patience=30.0):
        assert time.monotonic() - began >= 0.3
    writer.join()


def test_a_database_that_answers_may_be_used(tmp_path):
    knock(f"sqlite:///{tmp_path}/mlflow.db")
    assert (tmp_path / "mlflow.db").exists()


def test_a_database_that_does_not_answer_is_told_at_once(tmp_path):
    from sqlalchemy.exc import SQLAlchemyError

    began = time.monotonic()
    with pytest.raises(SQLAlchemyError):
        knock(f"sqlite:///{tmp_path}/nowhere/mlflow.db")
    assert time.monotonic() - began < 30


def test_servers_are_not_knocked_at():
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        knock(f"http://127.0.0.1:{server.getsockname()[1]}")
        with pytest.raises(TimeoutError):
            server.accept()


def test_the_command_that_catches_up_names_the_study_and_its_root(record, tmp_path):
    assert catch_up(record.folder).endswith(f"sync small --root {tmp_path}")
