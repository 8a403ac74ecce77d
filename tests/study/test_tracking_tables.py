"""Real processes that find a database without MLflow's tables at once, or are killed over it."""

import signal
import subprocess
import sys
import time

from study.tracking_server import knock, settings
from tests.study import postgres

OPENED = """
import sys
from study.tracking_server import knock, settings
with settings():
    from mlflow import MlflowClient
    knock(sys.argv[1])
    print(len(MlflowClient(sys.argv[1]).search_experiments()))
"""


def opening(uri):
    return subprocess.Popen(
        [sys.executable, "-c", OPENED, uri],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def all_at_once(uri):
    """What three processes that open a new database at once say, and how they end."""
    processes = [opening(uri) for _ in range(3)]
    said = [process.communicate(timeout=120) for process in processes]
    return [
        (process.returncode, out.strip(), errors)
        for process, (out, errors) in zip(processes, said, strict=True)
    ]


def test_a_file_is_made_once_by_those_who_open_it_at_once(tmp_path):
    ended = all_at_once(f"sqlite:///{tmp_path}/mlflow.db")
    assert [(code, out) for code, out, _ in ended] == [(0, "1")] * 3, ended


def test_a_database_of_postgres_is_made_once_too():
    with postgres.serving() as server:
        ended = all_at_once(server.database())
    assert [(code, out) for code, out, _ in ended] == [(0, "1")] * 3, ended


def test_who_is_killed_while_making_a_file_leaves_none(tmp_path):
    file, partial = tmp_path / "mlflow.db", tmp_path / ".mlflow.db.partial"
    with opening(f"sqlite:///{file}") as process:
        until = time.monotonic() + 60
        while not (partial.exists() and partial.stat().st_size):
            assert time.monotonic() < until
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
    assert file.stat().st_size == 0
    with settings():
        from mlflow import MlflowClient

        knock(f"sqlite:///{file}")
        assert len(MlflowClient(f"sqlite:///{file}").search_experiments()) == 1
    assert not partial.exists()


def test_a_file_that_has_its_tables_is_left_alone(tmp_path):
    with settings():
        knock(f"sqlite:///{tmp_path}/mlflow.db")
    made = (tmp_path / "mlflow.db").stat()
    (tmp_path / ".mlflow.db.lock").unlink()
    knock(f"sqlite:///{tmp_path}/mlflow.db")
    assert (tmp_path / "mlflow.db").stat().st_ino == made.st_ino
    assert not (tmp_path / ".mlflow.db.lock").exists()
