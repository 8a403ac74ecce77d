"""Optuna's journal of a study, written by one process: what is said together costs one write."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend


@final
class Journal(JournalStorage):
    """A journal file that nobody else writes to meanwhile.

    Args:
        path: of the file; made where there is none, and mended after a crash.
        guard: called before every write; raises where another driver has taken over.
    """

    def __init__(self, path: Path, guard: Callable[[], None]) -> None:
        self._file = _File(path, guard)
        super().__init__(self._file)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Makes durable at the end, all at once, what is written within; it is read at once.

        One within another makes durable what both have so far.
        """
        before, self._file.is_gathering = self._file.is_gathering, True
        try:
            yield
        finally:
            self._file.is_gathering = before
            self._file.flush()


@final
class _File(BaseJournalBackend):
    """The file, and entries that are still to be written to it.

    Nobody else writes, so there is nothing to read that this process has not written itself, and
    no lock to take: Optuna's is a file, made and removed for every write, and one that a killed
    driver left would have to be waited for. A driver that was frozen, and wakes up when another has
    taken over, must not: what follows a line of its would be taken for another trial's.
    """

    def __init__(self, path: Path, guard: Callable[[], None]) -> None:
        self._written = _mended(path)
        self._path, self._file, self._guard = path, JournalFileBackend(str(path)), guard
        self._waiting: list[str] = []
        self.is_gathering = False

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        if log_number_from < self._written:
            yield from self._file.read_logs(log_number_from)
        # As they will be read from the file.
        yield from map(json.loads, self._waiting[max(0, log_number_from - self._written) :])

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self._waiting += (json.dumps(log, separators=(",", ":")) for log in logs)
        if not self.is_gathering:
            self.flush()

    def flush(self) -> None:
        """Writes what waits.

        Raises:
            OSError: if it cannot be written; it waits on then, and the file is as it was.
        """
        if not self._waiting:
            return
        self._guard()
        size = self._path.stat().st_size
        try:
            with self._path.open("ab") as file:
                file.write("".join(f"{line}\n" for line in self._waiting).encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            # A part of a line would be continued by the next one.
            os.truncate(self._path, size)
            raise
        self._written += len(self._waiting)
        self._waiting = []


def _mended(journal: Path) -> int:
    """Lines of a journal, without a last one that a crash cut in the middle: Optuna chokes on it.

    The file as it was is kept beside it.
    """
    content = journal.read_bytes() if journal.exists() else b""
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content:
        journal.with_suffix(".torn").write_bytes(content)
        journal.write_bytes(whole)
    return whole.count(b"\n")
