"""Keeps MLflow up to date with a study's record, during the study and afterwards.

MLflow is a projection: everything in it is written from the record, so it may lag, be away, or be
thrown away, and nothing is lost.
"""

import logging
import math
import time
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Self, final

from study.errors import StudyError, TrackingError
from study.projection import is_whole, of_study, of_trial
from study.record import Record, Result
from study.tracking_server import (
    address,
    catch_up,
    exclusive,
    reason,
    settings,
    without_secrets,
)

if TYPE_CHECKING:
    from study.mirror import Mirror

ROUND_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 60.0
PATIENCE_SECONDS = 60.0

log = logging.getLogger(__name__)


@final
class Tracker:
    """Projects results as they are published, from a thread of its own; a context manager.

    Begins with everything the record already holds. Whatever becomes of MLflow, the study goes on:
    the user gets one warning, and what could not be written is tried again, ever more rarely, and
    once more at the end.

    Args:
        record: of the study.

    Raises:
        TrackingError: if the study's tracking address is malformed.
    """

    def __init__(self, record: Record) -> None:
        self._record, self._uri = record, address(record, None)
        self._published: SimpleQueue[Result | None] = SimpleQueue()
        self._results = {result.trial.key: result for result in record.results()}
        self._waiting = dict(self._results)
        self._mirror: Mirror | None = None
        self._thread = Thread(target=self._keep, name="tracking", daemon=True)
        self._has_warned = False

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._published.put(None)
        self._thread.join()

    def notify(self, result: Result) -> None:
        """Takes note of a published result; returns at once."""
        self._published.put(result)

    def _keep(self) -> None:
        try:
            with settings(), exclusive(self._record, PATIENCE_SECONDS) as identity:
                self._follow(identity)
        except Exception as error:
            self._warn(error)

    def _follow(self, identity: str) -> None:
        """Writes round by round until the study ends, then whatever is left."""
        has_ended, failures, failed_at = False, 0, -math.inf
        while not has_ended:
            try:
                self._round(identity)
                failures = 0
            except Exception as error:
                self._warn(error)
                failures, failed_at = failures + 1, time.monotonic()
            has_ended = self._gather(min(ROUND_SECONDS * 2**failures, LONGEST_PAUSE_SECONDS))
        # A try that failed while the study ended was the last one.
        if time.monotonic() - failed_at > ROUND_SECONDS:
            self._end(identity)

    def _end(self, identity: str) -> None:
        try:
            mirror = self._round(identity)
            _close(mirror, self._record, list(self._results.values()))
        except Exception as error:
            self._warn(error)

    def _round(self, identity: str) -> "Mirror":
        """Writes what waits; at the first time also what MLflow lacks."""
        from study.mirror import Mirror

        if self._mirror is None or self._waiting:
            mirror = self._mirror or Mirror(self._record, self._uri, identity)
            results = list(self._results.values())
            mirror.write(of_study(self._record, results, is_at_work=True))
            _write(mirror, self._record, self._waiting)
            self._mirror = mirror
        return self._mirror

    def _gather(self, seconds: float) -> bool:
        """Takes in what is published in some seconds; returns whether the study has ended."""
        until = time.monotonic() + seconds
        while True:
            try:
                result = self._published.get(timeout=max(0.0, until - time.monotonic()))
            except Empty:
                return False
            if result is None:
                return True
            self._take(result)

    def _take(self, result: Result) -> None:
        self._results[result.trial.key] = self._waiting[result.trial.key] = result

    def _warn(self, error: Exception) -> None:
        if not self._has_warned:
            self._has_warned = True
            log.warning(
                "MLflow at %s cannot be written (%s); the study goes on, `%s` catches up",
                without_secrets(self._uri),
                reason(error),
                catch_up(self._record.folder),
            )


def sync(record: Record, uri: str | None) -> str:
    """Brings MLflow up to date with a record; doing it twice changes nothing.

    Args:
        record: of the study.
        uri: tracking address, instead of the study's own.

    Returns:
        One sentence about what MLflow holds.

    Raises:
        TrackingError: if the address is malformed, or nobody answers there.
        RecordError: if the study's driver is at work, which keeps MLflow up to date itself.
    """
    chosen = address(record, uri)
    from study.mirror import Mirror

    results = record.results()
    try:
        with settings(), exclusive(record) as identity:
            mirror = Mirror(record, chosen, identity)
            mirror.write(of_study(record, results, is_at_work=False))
            _write(mirror, record, {result.trial.key: result for result in results})
            models = _close(mirror, record, results)
    except StudyError:
        raise
    except Exception as error:
        problem = f"{without_secrets(chosen)} cannot be written: {reason(error)}"
        raise TrackingError(record.folder, [problem]) from error
    where = without_secrets(chosen)
    return f"{record.folder}: {len(mirror)} runs and {models} models up to date in {where}"


def _write(mirror: "Mirror", record: Record, waiting: dict[str, Result]) -> None:
    """Writes the trials that wait, in their order; those that are written wait no longer.

    A confirmation hangs below its trial, which is always published, and so written, before it.
    """
    for key in list(waiting):
        result = waiting.pop(key)
        try:
            mirror.write(of_trial(record, result), record.files(result))
        except Exception:
            # At the end of the queue, so that one trial can never keep all others waiting.
            waiting[key] = result
            raise


def _close(mirror: "Mirror", record: Record, results: list[Result]) -> int:
    """Logs the models of a study that is whole, and ends its run; returns how many models."""
    from study.group_model import log_models

    models = log_models(mirror, record, results) if is_whole(record, results) else 0
    mirror.write(of_study(record, results, is_at_work=False))
    return models
