"""An MLflow server that is away: at the start, in the middle, at the end, or all the time."""

import os
import shutil
import subprocess
import sys
from contextlib import ExitStack

import pytest
from mlflow import MlflowClient

from study.record import Record
from tests.faults.level import every
from tests.faults.studies import ended, until
from tests.faults.tracked import contents
from tests.study.mlflow_contents import free_port, serving

pytestmark = pytest.mark.ray
CATCHES_UP = "catches up"


def launch(of, port: int, *changes: int, is_up: bool):
    """A launch in which a server goes and comes in turn, each time at so many results."""
    with ExitStack() as server:
        if is_up:
            server.enter_context(serving(of.file.parent, port))
        with of.launching() as process:
            for results in changes:
                until(process, lambda results=results: of.results >= results)
                if is_up:
                    server.close()
                else:
                    server.enter_context(serving(of.file.parent, port))
                is_up = not is_up
            return ended(process)


def synced(of, root=None, *more: str):
    """``study sync``, as a user calls it."""
    root = root or of.folder.parent
    return subprocess.run(
        [sys.executable, "-m", "study", "sync", "small", "--root", str(root), *more],
        env={**os.environ, **of.environment},
        check=False,
    )


def database(of) -> str:
    return f"sqlite:///{of.file.parent / 'mlflow.db'}"


def check_synced(of, port: int) -> None:
    """Syncing brings everything, and then nothing more."""
    with serving(of.file.parent, port) as uri:
        record, client = Record(of.folder), MlflowClient(uri)
        assert synced(of).returncode == 0
        first = contents(record, client, database(of))
        assert synced(of).returncode == 0
        assert contents(record, client, database(of)) == first


def check_as_if_never_away(of, port: int, elsewhere) -> None:
    """What was written in pieces is what one sync of the finished record writes elsewhere."""
    shutil.copytree(of.folder, elsewhere / "small")
    uri = f"sqlite:///{elsewhere / 'mlflow.db'}"
    assert synced(of, elsewhere, "--uri", uri).returncode == 0
    record = Record(elsewhere / "small")
    with serving(of.file.parent, port) as server:
        written = contents(record, MlflowClient(server), database(of))
    assert written == contents(record, MlflowClient(uri), uri)
    assert len(written) > 1


@every
def test_a_server_that_restarts_in_the_middle_misses_nothing(study, stock, tmp_path):
    port = free_port()
    of = study(tracking={"uri": f"http://127.0.0.1:{port}"})
    launched = launch(of, port, 4, 8, is_up=True)
    assert launched.returncode == 0, launched.stderr
    check_synced(of, port)
    assert stock(of, "MLflow: restarted", 1, database(of)).is_sound
    check_as_if_never_away(of, port, tmp_path)


@every
@pytest.mark.parametrize(
    ("name", "changes"),
    [("always up", []), ("away at first", [6]), ("away at the end", [10]), ("always away", [])],
)
def test_a_server_that_is_away_keeps_no_study_from_ending(study, stock, tmp_path, name, changes):
    port, is_up = free_port(), name in ("always up", "away at the end")
    of = study(tracking={"uri": f"http://127.0.0.1:{port}"})
    launched = launch(of, port, *changes, is_up=is_up)
    assert launched.returncode == 0, launched.stderr
    assert (CATCHES_UP in launched.stderr) == (name != "always up"), launched.stderr
    check_synced(of, port)
    row = stock(of, f"MLflow: {name}", int(name != "always up"), database(of))
    assert row.is_sound, row
    assert row.failed == ()
    check_as_if_never_away(of, port, tmp_path)
