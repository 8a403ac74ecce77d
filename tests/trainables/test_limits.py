"""Limits in processes of their own, which they end or cap."""

import os
import subprocess
import sys
import threading
import time

import psutil
import pytest
import torch

from trainables import limits
from trainables.limits import Limits, ending_after, is_out_of_memory, memory_bytes

HANGS = "import time; time.sleep(600)"
HOLDS_PYTHON = "import ctypes; ctypes.PyDLL(None).sleep(600)"
PROGRAM = """
import sys
import trainables.limits
from pathlib import Path
trainables.limits.BACKSTOP_SECONDS = 1.0
with trainables.limits.ending_after(0.5, lambda: Path(sys.argv[1]).write_text("expired")):
    {step}
"""
HUNGRY = """
from trainables.limits import Limits, is_out_of_memory
import torch
Limits(memory=256 << 20).cap_memory()
for take in (lambda: torch.ones(1 << 28), lambda: bytearray(1 << 30)):
    try:
        take()
    except Exception as error:
        print(is_out_of_memory(error), torch.ones(1 << 20).sum().item() == 1 << 20)
"""


def program(text, *arguments):
    began = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-c", text, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    return ended, time.monotonic() - began


def test_a_step_that_hangs_ends_its_process_after_saying_so(tmp_path):
    ended, seconds = program(PROGRAM.format(step=HANGS), tmp_path / "said")
    assert ended.returncode == 1
    assert (tmp_path / "said").read_text() == "expired"
    assert seconds < 60


def test_a_step_that_keeps_python_from_running_ends_its_process_too(tmp_path):
    ended, seconds = program(PROGRAM.format(step=HOLDS_PYTHON), tmp_path / "said")
    assert ended.returncode == 1
    assert "Timeout" in ended.stderr
    assert seconds < 60


def test_a_step_that_ends_in_time_ends_nothing():
    def expire():
        raise AssertionError

    with ending_after(0.2, expire):
        pass
    time.sleep(0.4)


def test_an_error_within_the_time_stays_what_it_is():
    with pytest.raises(KeyError), ending_after(60.0, lambda: None):
        raise KeyError


def test_without_a_limit_nothing_is_watched():
    before = threading.active_count()
    with ending_after(None, lambda: None):
        assert threading.active_count() == before


def test_memory_beyond_the_cap_is_an_error_and_the_process_goes_on():
    ended, _ = program(HUNGRY)
    assert ended.stdout.splitlines() == 2 * ["True True"], ended.stderr


@pytest.mark.parametrize(
    ("error", "is_so"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"), True),
        (RuntimeError("shapes differ"), False),
        (ValueError("can't allocate memory"), False),
    ],
)
def test_memory_shortage_is_told_from_other_errors(error, is_so):
    assert is_out_of_memory(error) is is_so


def test_a_checkpoint_is_measured_by_its_tensors():
    state = {"members": [{"weights": torch.zeros(100)}], "history": []}
    assert Limits(checkpoint=400).allows_checkpoint(state)
    assert not Limits(checkpoint=399).allows_checkpoint(state)
    assert Limits().allows_checkpoint(state)


@pytest.mark.parametrize(
    ("told", "least"), [("max\n", None), ("1048576\n", 1 << 20), (f"{1 << 62}\n", None), ("", None)]
)
def test_a_container_has_no_more_memory_than_it_may_take(tmp_path, monkeypatch, told, least):
    file = tmp_path / "memory.max"
    file.write_text(told)
    monkeypatch.setattr(limits, "CONTAINER_LIMITS", (tmp_path / "none", file))
    assert memory_bytes() == (least or psutil.virtual_memory().total)
