"""One driver at a time: a lease is a counter that its holder keeps moving.

Nobody compares clocks. Whoever wants the lease watches the counter; if it stands still, its holder
is gone. On the holder's own machine its process is looked at instead, which takes no time.

A holder may also be frozen, and wake up when another has long taken over. So whatever is written
for others to rely on is written after :meth:`Lease.require`.
"""

import time
from contextlib import suppress
from dataclasses import replace
from threading import Event, Lock, Thread
from typing import Self, final

from sqlalchemy.exc import SQLAlchemyError

from study.database import answering
from study.errors import RecordError
from study.holder import Holder
from study.lease_place import LeasePlace, Role, lease_place
from study.record import Record

BEAT_SECONDS = 2.0
PATIENCE_BEATS = 4
TRANSIENT = (OSError, SQLAlchemyError)


@final
class Lease:
    """Held while a driver works on a study; a context manager.

    Args:
        record: of the study.
        role: what its holder alone may do: run the study, or write it to MLflow.

    Raises:
        RecordError: on entry, if another driver holds it: names its host and process.
        SQLAlchemyError: if it is kept in a database, and that does not answer.
    """

    def __init__(self, record: Record, role: Role = "driver") -> None:
        self._record, self._place = record, lease_place(record, role)
        self._mine, self._beaten = Holder.here(), 0.0
        self._is_lost = False
        self._successor: Holder | None = None
        self._turn, self._stopped = Lock(), Event()
        self._beat = Thread(target=self._keep, name="lease", daemon=True)

    def __enter__(self) -> Self:
        self._beaten = _now()
        before = self._place.read()
        if _is_alive(before, self._place) or not self._place.swap(before, self._mine):
            raise self._refusal(self._place.read() or before)
        self._beat.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._beat.join()
        with suppress(*TRANSIENT):
            self._place.swap(self._mine, None)

    def require(self) -> None:
        """Makes sure that no other driver has taken the lease.

        Asks only if the last beat is so long ago that one could have.

        Raises:
            RecordError: if one has: names its host and process.
        """
        if _now() - self._beaten > BEAT_SECONDS * PATIENCE_BEATS / 2:
            self._move()
        if self._is_lost:
            raise self._refusal(self._successor)

    def _keep(self) -> None:
        while not self._stopped.wait(BEAT_SECONDS):
            with suppress(*TRANSIENT):
                self._move()

    def _move(self) -> None:
        """Moves the counter, unless the lease is somebody else's by now."""
        with self._turn:
            if self._is_lost:
                return
            began, moved = _now(), replace(self._mine, counter=self._mine.counter + 1)
            if self._place.swap(self._mine, moved):
                self._mine, self._beaten = moved, began
                return
            found = self._place.read()
            if found is not None and found.token == self._mine.token:
                # An earlier move arrived, and only its answer did not.
                self._mine = found
            else:
                self._is_lost, self._successor = True, found

    def _refusal(self, other: Holder | None) -> RecordError:
        who = f"process {other.process} on {other.host}" if other else "another driver"
        return RecordError(
            self._record.folder, [f"is in use by {who}; wait for it or stop it there"]
        )


def is_held(record: Record) -> bool:
    """Whether a driver works on a study; may watch for some seconds if it runs elsewhere.

    Raises:
        StorageError: if its database does not answer.
    """
    with answering(record.config.storage.database):
        place = lease_place(record)
        return _is_alive(place.read(), place)


def _is_alive(holder: Holder | None, place: LeasePlace) -> bool:
    runs = holder.runs if holder else False
    if runs is not None:
        return runs
    for _ in range(PATIENCE_BEATS):
        time.sleep(BEAT_SECONDS)
        found = place.read()
        if found != holder:
            return found is not None
    return False


def _now() -> float:
    """Seconds that also pass while this process, or the whole machine, sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
