"""Where Optuna keeps what it has proposed: a journal in the study's folder, or a database."""

import weakref
from collections import Counter
from pathlib import Path

from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy.pool import NullPool

from study.addresses import without_secrets
from study.database import made, options
from study.errors import RecordError
from study.journal import Journal
from study.record import Record

JOURNAL = "optuna.journal"


def open_storage(record: Record) -> BaseStorage:
    """Optuna's storage of a study; call it only while holding the lease.

    Raises:
        RecordError: if it lacks trials that the record holds.
        SQLAlchemyError: if it is a database that does not answer.
    """
    url = record.config.storage.database
    if url:
        storage = _open_database(url)
    else:
        assert isinstance(record.folder, Path), "the lease was to be had only on this machine"
        storage = Journal(record.folder / JOURNAL, record.guard)
    _require_history(record, storage, without_secrets(url) if url else JOURNAL)
    return storage


def study_name(record: Record, label: str) -> str:
    """Optuna's name of a combination's study; in a database there may be others of that label."""
    return f"{record.identity}/{label}" if record.config.storage.database else label


def _require_history(record: Record, storage: BaseStorage, place: str) -> None:
    """Refuses a storage that was lost: numbers would be given, and results counted, twice."""
    planned = Counter(trial.combination for trial in record.trials() if trial.phase == "search")
    problems = []
    for label, count in planned.items():
        try:
            known = storage.get_n_trials(
                storage.get_study_id_from_name(study_name(record, label)), state=None
            )
        except KeyError:
            known = 0
        if known < count:
            problems.append(f"{label}: {place} has {known} trials of {count}; restore it")
    if problems:
        raise RecordError(record.folder, problems)


def _open_database(url: str) -> BaseStorage:
    made(lambda: RDBStorage(url, engine_kwargs={**options(url), "poolclass": NullPool}))
    storage = RDBStorage(url, engine_kwargs=options(url))
    # Connections are kept for the next question, and closed with the storage.
    weakref.finalize(storage, storage.engine.dispose)
    return storage
