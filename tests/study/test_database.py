"""Against a real PostgreSQL server, and against none."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import inspect

from study import database, lease
from study.errors import StorageError
from study.lease import Lease, is_held
from study.lease_place import lease_place
from study.manifest import manifest
from study.record import Record
from study.storage import open_storage
from tests.study import postgres
from tests.study.files import accepted, written


@pytest.fixture(scope="module")
def server():
    with postgres.serving() as server:
        yield server


def record_in(folder, address):
    folder.mkdir(exist_ok=True)
    study = accepted(folder, f"storage.database: {address}")
    return Record.create(folder / "small", manifest(study))


@pytest.fixture
def closed():
    """The address of a port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return f"postgresql://someone@127.0.0.1:{port}/study"


def refused(called, tmp_path, address):
    """What launching a study in a database says, which must be one line."""
    file = tmp_path / "small.yaml"
    file.write_text(written(f"storage.database: {address}"))
    began = time.monotonic()
    code, output, errors = called("launch", file, "--root", tmp_path / "studies")
    assert time.monotonic() - began < 60
    assert (code, output) == (2, "")
    (line,) = errors.splitlines()
    assert not (tmp_path / "studies").exists()
    return line


def test_a_database_where_nobody_answers_is_told_in_one_line(called, tmp_path, closed):
    line = refused(called, tmp_path, closed)
    assert line.startswith(closed.replace("someone@", "") + ": the study's database failed: ")
    assert "Connection refused" in line
    assert line.endswith("continues")


def test_a_wrong_password_is_told_in_one_line(called, tmp_path, server, monkeypatch):
    passwords = tmp_path / "pgpass"
    passwords.write_text("*:*:*:*:wrong-secret")
    passwords.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(passwords))
    line = refused(called, tmp_path, f"{server.address}/postgres")
    assert 'password authentication failed for user "study"' in line
    assert "wrong-secret" not in line


def test_a_database_that_is_not_there_is_told_in_one_line(called, tmp_path, server):
    assert 'database "nowhere" does not exist' in refused(
        called, tmp_path, f"{server.address}/nowhere"
    )


def test_studies_that_begin_at_once_in_an_empty_database_all_begin(tmp_path, server):
    address = server.database()
    records = [record_in(tmp_path / str(number), address) for number in range(4)]

    def begin(record):
        with Lease(record):
            open_storage(record).get_all_studies()
            return is_held(record)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(begin, records)) == 4 * [True]
    tables = inspect(database.engine(address)).get_table_names()
    assert {"groupstudy_leases", "studies", "trials"} <= set(tables)


def test_a_lease_outlives_a_restart_of_the_database(tmp_path, server, monkeypatch):
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.05)
    record = record_in(tmp_path, server.database())
    with Lease(record) as held:
        server.stop()
        time.sleep(0.3)
        server.start()
        before = lease_place(record).read()
        until = time.monotonic() + 30
        while lease_place(record).read() == before:
            assert time.monotonic() < until
            time.sleep(0.05)
        held.require()
    assert lease_place(record).read() is None


def test_a_database_that_went_away_is_told_in_place_of_its_error(tmp_path, server):
    record = record_in(tmp_path, server.database())
    storage = open_storage(record)
    server.stop()
    try:
        with pytest.raises(StorageError) as caught, database.answering(server.address):
            storage.get_all_studies()
    finally:
        server.start()
    assert caught.value.place == f"postgresql://127.0.0.1:{server.port}"
    assert len(str(caught.value).splitlines()) == 1
    assert len(storage.get_all_studies()) == 0


def test_errors_that_no_database_caused_stay_what_they_are(server):
    with pytest.raises(KeyError), database.answering(server.address):
        raise KeyError
