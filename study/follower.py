"""The process that follows a study and writes to MLflow: ``python -m study.follower FOLDER``.

Its standard input names published trials, one key a line, and holds an empty line when the study
has ended; its standard output gives warnings.
"""

import math
import os
import sys
import time
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, final

import click

from study.addresses import reason, without_secrets
from study.projection import of_study
from study.record import Record
from study.sync import close, write
from study.tracking_server import address, catch_up, exclusive, settings
from trainables.places import place

if TYPE_CHECKING:
    from study.mirror import Mirror

END = ""
NICENESS = 19
ROUND_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 60.0
PATIENCE_SECONDS = 60.0


@final
class Follower:
    """Writes to MLflow what a record holds and what is published, round by round.

    Whatever becomes of MLflow, there is one warning, and what could not be written is tried again,
    ever more rarely, and once more at the end.

    Args:
        record: of the study.
    """

    def __init__(self, record: Record) -> None:
        self._record, self._uri = record, address(record, None)
        self._published: SimpleQueue[str] = SimpleQueue()
        self._results = {result.trial.key: result for result in record.results()}
        self._waiting = dict(self._results)
        self._mirror: Mirror | None = None
        self._has_warned = False

    def run(self) -> None:
        """Returns when the study has ended and MLflow is up to date, or was last away."""
        Thread(target=self._listen, name="driver", daemon=True).start()
        try:
            with settings(), exclusive(self._record, PATIENCE_SECONDS):
                self._follow()
        except Exception as error:
            self._warn(error)

    def _listen(self) -> None:
        for line in sys.stdin:
            self._published.put(line.strip())
            if line.strip() == END:
                return
        # The driver is gone; whoever continues the study begins with what is missing.
        os._exit(1)

    def _follow(self) -> None:
        """Writes round by round until the study ends, then whatever is left."""
        has_ended, failures, failed_at = False, 0, -math.inf
        while not has_ended:
            try:
                self._round()
                failures = 0
            except Exception as error:
                self._warn(error)
                failures, failed_at = failures + 1, time.monotonic()
            # It got ready while the cluster did; from here on it takes what training leaves.
            _give_way(is_idle=True)
            has_ended = self._gather(min(ROUND_SECONDS * 2**failures, LONGEST_PAUSE_SECONDS))
        # The driver waits for what is left.
        _give_way(is_idle=False)
        # A try that failed while the study ended was the last one.
        if time.monotonic() - failed_at > ROUND_SECONDS:
            self._end()

    def _end(self) -> None:
        try:
            close(self._round(), self._record, list(self._results.values()))
        except Exception as error:
            self._warn(error)

    def _round(self) -> "Mirror":
        """Writes what waits; at the first time also what MLflow lacks."""
        from study.mirror import Mirror

        if self._mirror is None or self._waiting:
            mirror = self._mirror or Mirror(self._record, self._uri)
            results = list(self._results.values())
            mirror.write(of_study(self._record, results, is_at_work=True))
            write(mirror, self._record, self._waiting)
            self._mirror = mirror
        return self._mirror

    def _gather(self, seconds: float) -> bool:
        """Takes in what is published in some seconds; returns whether the study has ended."""
        until = time.monotonic() + seconds
        while True:
            try:
                key = self._published.get(timeout=max(0.0, until - time.monotonic()))
            except Empty:
                return False
            if key == END:
                return True
            result = self._record.result(key)
            if result:
                self._results[key] = self._waiting[key] = result

    def _warn(self, error: Exception) -> None:
        if not self._has_warned:
            self._has_warned = True
            click.echo(
                f"MLflow at {without_secrets(self._uri)} cannot be written ({reason(error)}); "
                f"the study goes on, `{catch_up(self._record.folder)}` catches up"
            )


def _give_way(*, is_idle: bool) -> None:
    """Runs only where no other process wants to, or as any process, as far as it is permitted."""
    with suppress(OSError):
        if hasattr(os, "SCHED_IDLE"):
            policy = os.SCHED_IDLE if is_idle else os.SCHED_OTHER
            os.sched_setscheduler(0, policy, os.sched_param(0))
        else:
            os.setpriority(os.PRIO_PROCESS, 0, NICENESS if is_idle else 0)


if __name__ == "__main__":
    Follower(Record(place(sys.argv[1]))).run()
