"""MLflow's tables in a database, made by one process at a time."""

import os
from pathlib import Path

from filelock import FileLock
from sqlalchemy import func, make_url, select

from study.database import engine

LOCK = 20230601
"""What PostgreSQL calls the lock under which the tables are made."""


def make_tables(uri: str) -> None:
    """Makes MLflow's tables in a database that has none.

    MLflow makes them in every process that finds none. Of several that do so at once most fail, and
    they leave a file of SQLite that nobody can use any more. Here the others wait, and such a file
    comes to be whole or not at all.

    Args:
        uri: of a database that answers.

    Raises:
        Exception: whatever keeps MLflow from making them.
    """
    url = make_url(uri)
    if url.get_backend_name() == "sqlite" and url.database:
        _make_file(Path(url.database))
    elif url.get_backend_name() == "postgresql":
        with engine(uri).connect() as connection:
            # It holds for as long as the connection does.
            connection.execute(select(func.pg_advisory_lock(LOCK)))
            _ask(uri)


def _make_file(file: Path) -> None:
    if _is_made(file):
        return
    with FileLock(file.with_name(f".{file.name}.lock")):
        if _is_made(file):
            return
        partial = file.with_name(f".{file.name}.partial")
        partial.unlink(missing_ok=True)
        _ask(f"sqlite:///{partial}")
        os.replace(partial, file)


def _is_made(file: Path) -> bool:
    # A file that was only connected to is empty.
    return file.exists() and file.stat().st_size > 0


def _ask(uri: str) -> None:
    from mlflow import MlflowClient  # slow to import

    MlflowClient(uri).search_experiments(max_results=1)
