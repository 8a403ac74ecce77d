"""A driver whose cluster loses its head, which is killed as a crash would."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile

import psutil
import pytest

from study.head_watch import CLUSTER_LOST
from tests.level import everything

pytestmark = pytest.mark.ray
PATIENCE_SECONDS = 120
# A driver like a launch, which waits for what the head would tell; with less patience than usual.
DRIVER = """
import sys, time
from study import cluster, head_watch
head_watch.PATIENCE_SECONDS = 3
with cluster.connected(None):
    print("connected", flush=True)
    time.sleep(3600)
"""


@pytest.fixture
def driver():
    """A driver connected to a cluster of its own."""
    # Not under pytest's folder: Ray's socket names would become longer than the kernel allows.
    temporary = tempfile.mkdtemp(prefix="gs-", dir="/tmp")
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER],
        env={**os.environ, "RAY_TMPDIR": temporary},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    started = []
    try:
        if process.stdout.readline() != "connected\n":
            pytest.fail(process.communicate(timeout=PATIENCE_SECONDS)[1])
        started = psutil.Process(process.pid).children(recursive=True)
        yield process, started
    finally:
        process.kill()
        process.communicate()
        for left in psutil.wait_procs(started, timeout=10)[1]:
            left.kill()
        shutil.rmtree(temporary, ignore_errors=True)


@everything
def test_a_driver_without_a_head_ends_with_one_line_in_bounded_time(driver):
    process, started = driver
    (head,) = [child for child in started if child.name() == "gcs_server"]
    head.send_signal(signal.SIGKILL)
    _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == CLUSTER_LOST
    last = errors.splitlines()[-1]
    assert "the head of the cluster is gone; nothing that was published is lost" in last
    assert "Traceback" not in errors
