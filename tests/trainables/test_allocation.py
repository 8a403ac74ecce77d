"""Pages that a process has to ask the machine for again and again."""

import ctypes
import resource
import subprocess
import sys
from pathlib import Path

import pytest

BLOCK = 4 << 20
STEPS = f"""
import resource
import sys
from trainables.allocation import keep_freed_memory
if sys.argv[1] == "True":
    keep_freed_memory()
def step():
    return sum(map(len, [b"x" * {BLOCK} for _ in range(4)]))
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="another C library")
@pytest.mark.parametrize("is_kept", [True, False])
def test_a_process_asks_only_once_for_blocks_that_it_frees_and_needs_again(is_kept):
    done = subprocess.run(
        [sys.executable, "-c", STEPS, str(is_kept)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert (int(done.stdout) < BLOCK // resource.getpagesize()) == is_kept
