"""Where MLflow keeps a study's projection, and how to ask it without waiting for long."""

import logging
import os
import time
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from importlib import import_module
from pathlib import Path

from filelock import FileLock, Timeout

from study.addresses import SERVERS, tracking_problems
from study.command import command
from study.database import engine
from study.errors import RecordError, TrackingError
from study.lease import Lease
from study.record import Record
from study.tracking_tables import make_tables
from trainables.places import Place

# One retry, seconds apart: MLflow's own defaults keep a caller waiting for four minutes.
SETTINGS = {
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
LOGGERS = {
    "alembic": logging.WARNING,
    "mlflow": logging.WARNING,
    # It shows the traceback of every error of a database, which it raises besides.
    "mlflow.store.db.utils": logging.CRITICAL,
    "urllib3": logging.ERROR,
}


def address(record: Record, uri: str | None) -> str:
    """Where a study is tracked: an address given now, or the study's, or a file beside it.

    Raises:
        TrackingError: if it is malformed.
    """
    chosen = uri or record.config.tracking.uri
    problems = tracking_problems(chosen)
    if problems:
        raise TrackingError(record.folder, problems)
    return chosen or f"sqlite:///{(record.folder.parent / 'mlflow.db').absolute()}"


def artifact_location(record: Record, uri: str) -> str | None:
    """Folder for the files of a study tracked in a database; a server chooses its own."""
    if uri.split(":")[0] in SERVERS:
        return None
    return (record.folder.parent / "mlartifacts" / record.config.name).absolute().as_uri()


@contextmanager
def settings() -> Iterator[None]:
    """Short patience, no chatter, no pickles, while it lasts; what the user has set stays."""
    added = {name: value for name, value in SETTINGS.items() if name not in os.environ}
    os.environ.update(added)
    # MLflow's own, about the libraries it uses; not undone, for that is not safe beside threads.
    warnings.filterwarnings("ignore", module=r"mlflow\.")
    import_module("mlflow")  # sets up its loggers when it is first imported

    loggers = {logging.getLogger(name): level for name, level in LOGGERS.items()}
    before = {logger: logger.level for logger in loggers}
    for logger, level in loggers.items():
        logger.setLevel(level)
    try:
        yield
    finally:
        for logger, level in before.items():
            logger.setLevel(level)
        for name in added:
            os.environ.pop(name, None)


@contextmanager
def exclusive(record: Record, patience: float = 0.0) -> Iterator[None]:
    """Keeps everyone else from writing this study to MLflow.

    Args:
        record: of the study.
        patience: seconds to wait for another writer.

    Raises:
        RecordError: if somebody else writes all that time.
    """
    until = time.monotonic() + patience
    with ExitStack() as held:
        while True:
            try:
                held.enter_context(_lock(record))
                break
            except (Timeout, RecordError):
                if time.monotonic() >= until:
                    problem = "is being written to MLflow by another process, which brings it up "
                    raise RecordError(record.folder, [f"{problem}to date"]) from None
                time.sleep(0.2)
        yield


def _lock(record: Record) -> AbstractContextManager[object]:
    """A lock of the study's folder, or a lease where files cannot be locked."""
    folder = record.folder
    if isinstance(folder, Path):
        return FileLock(folder / "tracking", timeout=0)
    return Lease(record, "mlflow")


def knock(uri: str) -> None:
    """Connects to a database once; MLflow would try for minutes if nobody answers.

    One that is new has MLflow's tables then.

    Raises:
        SQLAlchemyError: if it does not answer.
        ImportError: if its driver is not installed.
    """
    if uri.split(":")[0] not in SERVERS:
        engine(uri).connect().close()
        make_tables(uri)


def catch_up(folder: Place) -> str:
    """The command that brings MLflow up to date with a study folder."""
    return command("sync", folder.name, "--root", folder.parent)
