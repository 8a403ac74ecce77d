"""Who holds a lease: one process on one machine, told from all others and from its successors."""

import json
import os
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import final
from uuid import uuid4

GONE = ("X", "Z")
"""States of a process that has ended and that nobody has taken note of."""


@final
@dataclass(frozen=True)
class Holder:
    """The holder of a lease.

    Args:
        token: drawn for each lease.
        host: name of the machine, for people.
        machine: boot and process namespace in which ``process`` means something.
        process: its number.
        started: clock ticks from boot to its start; numbers are used again.
        counter: moved by the holder for as long as it lives.
    """

    token: str
    host: str
    machine: str
    process: int
    started: int
    counter: int

    @classmethod
    def here(cls) -> "Holder":
        """This process, with a new lease."""
        process = os.getpid()
        started = _started(process) or 0
        return cls(uuid4().hex, socket.gethostname(), machine(), process, started, 0)

    @classmethod
    def parse(cls, text: str) -> "Holder | None":
        """A holder from its text; None if that is none."""
        try:
            return cls(**json.loads(text))
        except (ValueError, TypeError):
            return None

    def text(self) -> str:
        """All of it, in one line."""
        return json.dumps(asdict(self))

    @property
    def runs(self) -> bool | None:
        """Whether its process runs; None where that cannot be seen from here."""
        if not self.machine or self.machine != machine():
            return None
        return _started(self.process) == self.started


def machine() -> str:
    """The boot of this machine, and this process's namespace; empty where they are not told."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _started(process: int) -> int | None:
    """Clock ticks from boot to the start of a process; None if it does not run."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return None
    # The name of its program comes before, in brackets, and may hold anything.
    state, *fields = stat.rpartition(")")[2].split()
    return None if state in GONE else int(fields[18])
