"""Keeps MLflow up to date while a study runs, from a process of its own.

MLflow is a projection: everything in it is written from the record, so it may lag, be away, or be
thrown away, and nothing is lost.
"""

import logging
import subprocess
import sys
from contextlib import suppress
from threading import Thread
from typing import Self, final

from study import follower
from study.record import Record, Result
from study.tracking_server import address, catch_up

log = logging.getLogger(__name__)


@final
class Tracker:
    """Has results projected as they are published; a context manager.

    Begins with everything the record already holds. Whatever becomes of MLflow, or of the process
    that writes to it, the study goes on: the user gets one warning.

    Args:
        record: of the study.

    Raises:
        TrackingError: if the study's tracking address is malformed.
    """

    def __init__(self, record: Record) -> None:
        address(record, None)
        self._record = record

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", follower.__name__, str(self._record.folder.absolute())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            # Ctrl-C is for the driver, which says when the study has ended. Not a session of its
            # own: Linux shares time out between sessions first, whatever their niceness.
            process_group=0,
        )
        self._listener = Thread(target=self._listen, name="tracking", daemon=True)
        self._listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        with self._process:  # waits, and closes both pipes
            self._listener.join()
        if self._process.returncode:
            log.warning(
                "the process that writes to MLflow died (%d); `%s` catches up",
                self._process.returncode,
                catch_up(self._record.folder),
            )

    def notify(self, result: Result) -> None:
        """Takes note of a published result; returns at once."""
        self._say(result.trial.key)

    def end(self) -> None:
        """Has what is left written; leaving the context waits for it."""
        self._say(follower.END)

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it died, which is told at the end
            self._process.stdin.write(f"{line}\n".encode())

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for warning in self._process.stdout:
            log.warning("%s", warning.decode().rstrip())
