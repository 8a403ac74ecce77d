"""Where a lease is kept: in a file, or in a row of a database; changed only by who knows it."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Literal, final

from filelock import FileLock, Timeout
from sqlalchemy import Column, MetaData, String, Table, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from study.database import engine, made
from study.errors import RecordError
from study.holder import Holder
from study.record import Record

Role = Literal["driver", "mlflow"]
SWAP_SECONDS = 5.0
"""How long a swap waits for that of another, which takes no time unless its process is frozen."""
LEASES = Table(
    "groupstudy_leases",
    MetaData(),
    Column("lease", String(64), primary_key=True),
    Column("holder", String(1000), nullable=False),
)


class LeasePlace(ABC):
    """A place for the lease of one study."""

    @abstractmethod
    def read(self) -> Holder | None:
        """Who holds it; None if nobody does."""

    @abstractmethod
    def swap(self, expected: Holder | None, wanted: Holder | None) -> bool:
        """Replaces a holder, if it still is the one expected; of several at once one succeeds."""


@final
class LeaseFile(LeasePlace):
    """``lease.json`` in the study's folder, and a lock beside it for as long as it is replaced."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "lease.json"

    def read(self) -> Holder | None:
        try:
            return Holder.parse(self._path.read_text())
        except (OSError, UnicodeDecodeError):
            return None

    def swap(self, expected: Holder | None, wanted: Holder | None) -> bool:
        try:
            with FileLock(self._path.with_suffix(".lock"), timeout=SWAP_SECONDS):
                if self.read() != expected:
                    return False
                self._write(wanted)
        except Timeout:
            return False
        return True

    def _write(self, wanted: Holder | None) -> None:
        if wanted is None:
            self._path.unlink(missing_ok=True)
            return
        unfinished = self._path.with_suffix(".tmp")
        unfinished.write_text(wanted.text())
        unfinished.replace(self._path)


@final
class LeaseRow(LeasePlace):
    """A row of a table of our own, beside those of Optuna.

    Args:
        url: of the database.
        lease: its name.

    Raises:
        SQLAlchemyError: if the database does not answer, here as in every method.
    """

    def __init__(self, url: str, lease: str) -> None:
        self._engine, self._lease = engine(url), lease
        self._engine.connect().close()
        made(lambda: LEASES.create(self._engine, checkfirst=True))

    def read(self) -> Holder | None:
        query = select(LEASES.c.holder).where(LEASES.c.lease == self._lease)
        with self._engine.connect() as connection:
            return Holder.parse(connection.scalar(query) or "")

    def swap(self, expected: Holder | None, wanted: Holder | None) -> bool:
        try:
            with self._engine.begin() as connection:
                if expected is None:
                    values = {"lease": self._lease, "holder": wanted.text()} if wanted else {}
                    connection.execute(insert(LEASES).values(values))
                    return True
                where = (LEASES.c.lease == self._lease, LEASES.c.holder == expected.text())
                change = update(LEASES).values(holder=wanted.text()) if wanted else delete(LEASES)
                return connection.execute(change.where(*where)).rowcount == 1
        except IntegrityError:
            return False


def lease_place(record: Record, role: Role = "driver") -> LeasePlace:
    """Where a lease of a study is kept: beside what its driver writes."""
    database, folder = record.config.storage.database, record.folder
    if database:
        return LeaseRow(database, f"{record.identity}/{role}")
    if not isinstance(folder, Path):
        raise RecordError(folder, ["a lease cannot lie on an object store; use storage.database"])
    return LeaseFile(folder)
