"""Launches studies as a user does, in processes of their own, and kills them."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE_SECONDS = 240.0
STUDY = """
name: small
seed: 5
data: {source: digits, split: points, folds: 2}
search:
  encoder: {mlp: {width: 16, hidden: [32, 64], dropout: 0.0}}
  aggregator: {mean: {}, max: {}}
  loss: {triplet: {}}
  training: {epochs: 6, classes_per_batch: 10, group_size: [2, 3]}
budget: {trials_per_combination: 8, pack: 2}
algorithm: {startup_trials: 3}
protocol: {sizes: [1, 3], draws: 2}
"""


def write_study(folder: Path, text: str = STUDY) -> Path:
    """The study file, in ``folder``."""
    file = folder / "small.yaml"
    file.write_text(text)
    return file


@contextmanager
def started(
    file: Path, *more: str, verb: str = "launch", **environment: str
) -> Iterator[subprocess.Popen[str]]:
    """``study launch FILE`` beside the file; its Ray has a temporary folder of its own."""
    # Not under pytest's folder: Ray's socket names would become longer than the kernel allows.
    temporary = tempfile.mkdtemp(prefix="gs-", dir="/tmp")
    root = ["--root", str(file.parent / "studies")]
    process = subprocess.Popen(
        [sys.executable, "-m", "study", verb, str(file), *root, *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "RAY_TMPDIR": temporary, **environment},
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
        shutil.rmtree(temporary, ignore_errors=True)


def run(file: Path, *more: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Launches a study and waits for its end."""
    with started(file, *more, **environment) as process:
        output, errors = process.communicate(timeout=PATIENCE_SECONDS)
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def stop_after(
    file: Path, results: int, number: signal.Signals
) -> subprocess.CompletedProcess[str]:
    """Launches a study and sends its driver a signal once so many results are published.

    One of them at least by this driver: earlier than that it might not be listening.
    """
    results = max(results, len(published(file)) + 1)
    with started(file) as process:
        until = time.monotonic() + PATIENCE_SECONDS
        while len(published(file)) < results and process.poll() is None:
            assert time.monotonic() < until, "the study made no progress"
            time.sleep(0.005)
        process.send_signal(number)
        output, errors = process.communicate(timeout=PATIENCE_SECONDS)
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def published(file: Path) -> list[Path]:
    """The results that a study has published so far."""
    return list((file.parent / "studies" / "small" / "trials").glob("*/result.json"))
