"""Where MLflow keeps a study's projection, and how to ask it without waiting for long."""

import fcntl
import logging
import os
import re
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import IO
from uuid import uuid4

from study.command import command
from study.errors import RecordError, TrackingError
from study.record import Record
from study.tracking_address import SERVERS, address_problem

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
LOGGERS = {"alembic": logging.WARNING, "mlflow": logging.WARNING, "urllib3": logging.ERROR}
CONNECT_SECONDS = 5
LONGEST_REASON = 200


def address(record: Record, uri: str | None) -> str:
    """Where a study is tracked: an address given now, or the study's, or a file beside it.

    Raises:
        TrackingError: if it is malformed.
    """
    chosen = uri or record.config.tracking.uri
    problems = address_problem(chosen)
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
def exclusive(record: Record, patience: float = 0.0) -> Iterator[str]:
    """Keeps everyone else from writing this study to MLflow; gives the study's identity.

    The identity is drawn once and kept in the study's folder, so that it moves with the folder, and
    two studies of one name on one server stay apart.

    Args:
        record: of the study.
        patience: seconds to wait for another writer.

    Raises:
        RecordError: if somebody else writes all that time.
    """
    with (record.folder / "tracking").open("a+") as file:
        until = time.monotonic() + patience
        while not _locks(file):
            if time.monotonic() >= until:
                problem = (
                    "is being written to MLflow by another process, which brings it up to date"
                )
                raise RecordError(record.folder, [problem])
            time.sleep(0.2)
        file.seek(0)
        identity = file.read()
        if not identity:
            identity = uuid4().hex
            file.write(identity)
            file.flush()
            os.fsync(file.fileno())
        yield identity


def _locks(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def knock(uri: str) -> None:
    """Connects to a database once; MLflow would try for minutes if nobody answers.

    Raises:
        SQLAlchemyError: if it does not answer.
        ImportError: if its driver is not installed.
    """
    if uri.split(":")[0] in SERVERS:
        return
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    knows_timeout = uri.startswith(("postgresql", "mysql"))
    arguments = {"connect_timeout": CONNECT_SECONDS} if knows_timeout else {}
    create_engine(uri, poolclass=NullPool, connect_args=arguments).connect().close()


def without_secrets(text: str) -> str:
    """A text in which no address tells a user's name or password."""
    return re.sub(r"//[^/\s]*@", "//", text)


def reason(error: Exception) -> str:
    """The first line of an error, short and fit to be shown."""
    lines = str(error).splitlines() or [type(error).__name__]
    text = without_secrets(lines[0])
    return text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]}..."


def catch_up(folder: Path) -> str:
    """The command that brings MLflow up to date with a study folder."""
    return command("sync", folder.name, "--root", folder.parent)
