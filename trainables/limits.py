"""What a trial may take of the machine that runs it: time, memory, disk."""

import faulthandler
import os
import resource
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import final

import psutil
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

BACKSTOP_SECONDS = 5.0
OUT_OF_MEMORY = ("can't allocate memory", "CUDA error: out of memory", "STATUS_ALLOC_FAILED")
"""What torch says of it in a ``RuntimeError``: of the machine, of a GPU, and of its libraries."""
CONTAINER_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
"""Where the kernel says what a container may take, in its two versions."""


@final
@dataclass(frozen=True)
class Limits:
    """The limits of a study's trials; None stands for no limit.

    Args:
        seconds: that one attempt at a trial may train.
        memory: bytes that the training of a pack may take, besides those of its process at first.
        checkpoint: bytes of a trial's checkpoint; a trial with a larger one keeps none.
        has_more_memory: whether a trial that lacks memory may run again with more.
    """

    seconds: float | None = None
    memory: int | None = None
    checkpoint: int | None = None
    has_more_memory: bool = False

    def cap_memory(self) -> None:
        """Lets allocations of this process fail beyond the limit, before the machine is short."""
        if self.memory is not None:
            _, hard = resource.getrlimit(resource.RLIMIT_DATA)
            resource.setrlimit(resource.RLIMIT_DATA, (_data_bytes() + self.memory, hard))

    def allows_checkpoint(self, state: object) -> bool:
        """Whether a state's tensors fit into a checkpoint."""
        if self.checkpoint is None:
            return True
        tensors = (leaf for leaf in tree_leaves(state) if isinstance(leaf, Tensor))
        return sum(tensor.nbytes for tensor in tensors) <= self.checkpoint


@contextmanager
def ending_after(seconds: float | None, expire: Callable[[], None]) -> Iterator[None]:
    """Ends this process if what is done meanwhile takes longer: the one way out of what hangs.

    Args:
        seconds: until then; None for no limit.
        expire: called first, from a thread of its own. Code that keeps Python itself from running
            is ended some seconds later, without that call.
    """
    if seconds is None:
        yield
        return
    lock, is_done = threading.Lock(), False

    def end() -> None:
        with lock:
            if is_done:
                return
            try:
                expire()
            finally:
                os._exit(1)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    faulthandler.dump_traceback_later(seconds + BACKSTOP_SECONDS, exit=True)
    try:
        yield
    finally:
        with lock:
            is_done = True
        timer.cancel()
        faulthandler.cancel_dump_traceback_later()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there was no memory left, of the machine or of a GPU."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in OUT_OF_MEMORY)


def memory_bytes() -> int:
    """Bytes of memory of this machine, or of the container that it is."""
    most = [int(psutil.virtual_memory().total)]
    for file in CONTAINER_LIMITS:
        with suppress(OSError, ValueError):  # there is no such limit
            most.append(int(file.read_text()))
    return min(most)


def _data_bytes() -> int:
    """Bytes of this process that count towards its limit, reserved for threads included."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (kibibytes,) = (line.split()[1] for line in lines if line.startswith("VmData:"))
    return 1024 * int(kibibytes)
