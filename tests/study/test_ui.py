"""A real server on the loopback address, in a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request

import pytest

from study.errors import RecordError
from study.ui import serve
from tests.study import finished_studies
from tests.study.mlflow_contents import free_port

PATIENCE_SECONDS = 90
# A server bound to every address of the machine would answer here too.
OTHER_ADDRESS = "127.0.0.2"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The port at which ``study ui`` serves a folder of studies, once it answers."""
    root, port = tmp_path_factory.mktemp("studies and more"), free_port()
    finished_studies.copy(root, phase="nothing")
    process = subprocess.Popen(
        [*(sys.executable, "-m", "study", "ui", "--root", str(root), "--port", str(port))],
        env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        until = time.monotonic() + PATIENCE_SECONDS
        while not answers("127.0.0.1", port):
            assert process.poll() is None, "the server ended"
            assert time.monotonic() < until, "the server did not start"
            time.sleep(0.2)
        yield port
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def answers(host, port):
    try:
        return urllib.request.urlopen(f"http://{host}:{port}/health", timeout=5).read() == b"OK"
    except OSError:
        return False


def test_the_database_of_the_folder_is_served(served):
    address = f"http://127.0.0.1:{served}/api/2.0/mlflow/experiments/search?max_results=9"
    with urllib.request.urlopen(address, timeout=30) as answer:
        found = json.load(answer)["experiments"]
    assert [experiment["name"] for experiment in found] == ["Default"]


def test_only_the_loopback_address_answers(served):
    assert answers("127.0.0.1", served)
    assert not answers(OTHER_ADDRESS, served)


def test_a_folder_where_nothing_was_tracked_is_refused(tmp_path):
    with pytest.raises(RecordError) as caught:
        serve(tmp_path, 5000)
    assert str(caught.value) == (
        f"{tmp_path}: holds no MLflow database; launch a study there first"
    )
    assert list(tmp_path.iterdir()) == []
