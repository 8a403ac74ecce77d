"""Heads of Ray clusters in processes of their own, as an administrator starts them."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil

from tests.study.mlflow_contents import free_port

PATIENCE_SECONDS = 120
RAY = str(Path(sys.executable).with_name("ray"))


class Head(NamedTuple):
    """A running head: where it listens, its process, and its folder."""

    address: str
    process: subprocess.Popen[bytes]
    folder: Path


@contextmanager
def heads(*environments: dict[str, str]) -> Iterator[list[Head]]:
    """Heads started side by side, one for each environment; all their processes end here."""
    with ExitStack() as stack:
        started = [stack.enter_context(_started(environment)) for environment in environments]
        for head in started:
            _wait(head.folder / "head.log", head.process)
        yield started


@contextmanager
def node(head: Head, **environment: str) -> Iterator[None]:
    """One node more of a cluster."""
    log = head.folder / "node.log"
    with _block(log, ["--address", head.address], environment) as process:
        _wait(log, process)
        yield


@contextmanager
def _started(environment: dict[str, str]) -> Iterator[Head]:
    # Not under pytest's folder: Ray's socket names would become longer than the kernel allows.
    folder = Path(tempfile.mkdtemp(prefix="gs-", dir="/tmp"))
    port = free_port()
    options = ["--head", "--port", str(port), "--temp-dir", str(folder / "r")]
    options += ["--include-dashboard=false", "--ray-client-server-port", str(free_port())]
    with _block(folder / "head.log", options, environment) as process:
        yield Head(f"127.0.0.1:{port}", process, folder)
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _block(
    log: Path, options: list[str], environment: dict[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """``ray start`` that stays until it is ended, and then ends all it has started."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [RAY, "start", "--block", "--num-cpus", "1", "--disable-usage-stats", *options],
            env={**os.environ, **environment},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        everything = [*psutil.Process(process.pid).children(recursive=True), process]
        process.terminate()
        psutil.wait_procs(everything, timeout=10)
        for left in everything:
            if left.is_running() if isinstance(left, psutil.Process) else left.poll() is None:
                left.kill()
        process.wait()


def _wait(log: Path, process: subprocess.Popen[bytes]) -> None:
    """Until a node says that it has started: a head's address alone is there much earlier."""
    until = time.monotonic() + PATIENCE_SECONDS
    while "Ray runtime started" not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < until, "the node did not start"
        time.sleep(0.1)
