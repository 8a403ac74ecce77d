"""The database of a study: how it is reached, and one clear line where it is not."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, TypeVar

from optuna.exceptions import StorageInternalError
from sqlalchemy import Engine, create_engine, make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from study.addresses import reason, without_secrets
from study.command import same_again
from study.errors import StorageError

CONNECT_SECONDS = 5
SILENCE_SECONDS = 20
BUSY_SECONDS = 60
ARGUMENTS = MappingProxyType(
    {
        "postgresql": {
            "connect_timeout": CONNECT_SECONDS,
            "keepalives_idle": SILENCE_SECONDS // 2,
            "keepalives_interval": 2,
            "keepalives_count": SILENCE_SECONDS // 4,
            "tcp_user_timeout": 1000 * SILENCE_SECONDS,
        },
        "mysql": {
            "connect_timeout": CONNECT_SECONDS,
            "read_timeout": SILENCE_SECONDS,
            "write_timeout": SILENCE_SECONDS,
        },
        "sqlite": {"timeout": BUSY_SECONDS},
    }
)
TRIES = 4
PAUSE_SECONDS = 0.2
Made = TypeVar("Made")


def options(url: str) -> dict[str, Any]:
    """How ``create_engine`` shall connect: no wait is endless, and no lost connection is used."""
    arguments = ARGUMENTS.get(make_url(url).get_backend_name(), {})
    return {"pool_pre_ping": True, "connect_args": dict(arguments)}


def engine(url: str) -> Engine:
    """A way to a database with a connection for each use; nothing connects before."""
    return create_engine(url, poolclass=NullPool, **options(url))


def knock(url: str | None) -> None:
    """Connects to a study's database once, if it has one.

    Raises:
        StorageError: if it does not answer, or lets nobody of this name and password in.
    """
    with answering(url):
        if url:
            engine(url).connect().close()


def made(create: Callable[[], Made]) -> Made:
    """What ``create`` gives, which makes the tables that are missing in a database that answers.

    Where several processes do so at once, all but one fail, and find them made the next time.
    """
    for _ in range(TRIES - 1):
        try:
            return create()
        except DBAPIError:
            time.sleep(PAUSE_SECONDS)
    return create()


@contextmanager
def answering(url: str | None) -> Iterator[None]:
    """Tells what a database that failed means for its study.

    Args:
        url: of the database; None for a study without one.

    Raises:
        StorageError: in place of every error of the database.
    """
    try:
        yield
    except (SQLAlchemyError, StorageInternalError) as error:
        if url is None:
            raise
        cause = error.__cause__ if isinstance(error, StorageInternalError) else error
        original = cause.orig if isinstance(cause, DBAPIError) else cause
        problem = (
            f"the study's database failed: {reason(original or error)}; nothing recorded is lost, "
            f"`{same_again()}` continues"
        )
        raise StorageError(without_secrets(url), [problem]) from error
