"""One driver at a time: a lease is a counter that its holder keeps moving.

Nobody compares clocks. Whoever wants the lease watches the counter; if it stands still, its holder
is gone. On the holder's own machine its process is looked at instead, which takes no time.
"""

import json
import os
import socket
import threading
import time
from pathlib import Path
from typing import Any, Self, final

from study.errors import RecordError

BEAT_SECONDS = 2.0
PATIENCE_BEATS = 4


@final
class Lease:
    """Held while a driver works on a study folder; a context manager.

    Args:
        folder: the study folder.

    Raises:
        RecordError: on entry, if another driver holds it: names its host and process.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "lease.json"
        self._stopped = threading.Event()
        self._beat = threading.Thread(target=self._keep, name="lease", daemon=True)

    def __enter__(self) -> Self:
        holder = _read(self._path)
        if holder and _is_alive(holder, self._path):
            raise RecordError(
                self._folder,
                [
                    f"is in use by process {holder['process']} on {holder['host']}; "
                    "wait for it or stop it there"
                ],
            )
        self._write(0)
        self._beat.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._beat.join()
        self._path.unlink(missing_ok=True)

    def _keep(self) -> None:
        counter = 0
        while not self._stopped.wait(BEAT_SECONDS):
            counter += 1
            self._write(counter)

    def _write(self, counter: int) -> None:
        holder = {"host": socket.gethostname(), "process": os.getpid(), "counter": counter}
        unfinished = self._path.with_suffix(f".{os.getpid()}")
        unfinished.write_text(json.dumps(holder))
        unfinished.replace(self._path)


def is_held(folder: Path) -> bool:
    """Whether a driver works on the folder; may watch for some seconds if it runs elsewhere."""
    holder = _read(folder / "lease.json")
    return holder is not None and _is_alive(holder, folder / "lease.json")


def _read(path: Path) -> dict[str, Any] | None:
    try:
        holder = json.loads(path.read_text())
        return {"host": str(holder["host"]), **{n: int(holder[n]) for n in ("process", "counter")}}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _is_alive(holder: dict[str, Any], path: Path) -> bool:
    if holder["host"] == socket.gethostname():
        return holder["process"] != os.getpid() and _runs(holder["process"])
    for _ in range(PATIENCE_BEATS):
        time.sleep(BEAT_SECONDS)
        if (_read(path) or holder)["counter"] != holder["counter"]:
            return True
    return False


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
