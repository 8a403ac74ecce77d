"""A PostgreSQL server of our own on loopback, which asks for a password, while tests need it."""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

USER = "study"
PATIENCE_SECONDS = 60.0


class Server:
    """A server whose data lie in ``folder``; its password only in the file of ``PGPASSFILE``."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs, self._data, self._numbers = programs, folder / "data", count()
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        password = folder / "password"
        password.write_text(secrets.token_hex())
        self.passwords = folder / "pgpass"
        self.passwords.write_text(f"127.0.0.1:{self.port}:*:{USER}:{password.read_text()}")
        self.passwords.chmod(0o600)
        os.environ["PGPASSFILE"] = str(self.passwords)
        # PostgreSQL refuses to run as root.
        self._as = {"user": "nobody", "group": "nogroup"} if os.getuid() == 0 else {}
        if self._as:
            for path in (folder, password):
                os.chown(path, pwd.getpwnam("nobody").pw_uid, -1)
        initdb = [programs / "initdb", "-D", self._data, "-U", USER, "--pwfile", password]
        options = ["--auth=scram-sha-256", "--no-sync", "-E", "UTF8", "--locale=C"]
        subprocess.run([*initdb, *options], check=True, stdout=subprocess.DEVNULL, **self._as)
        self.start()

    def start(self) -> None:
        """Starts the server, and waits until it answers."""
        options = ["-h", "127.0.0.1", "-p", str(self.port), "-k", "", "-c", "fsync=off"]
        self._process = subprocess.Popen(
            [self._programs / "postgres", "-D", self._data, *options],
            stderr=subprocess.DEVNULL,
            cwd="/",
            **self._as,
        )
        until = time.monotonic() + PATIENCE_SECONDS
        while not self._answers():
            assert time.monotonic() < until, "PostgreSQL does not answer"
            assert self._process.poll() is None, "PostgreSQL has died"
            time.sleep(0.05)

    def _answers(self) -> bool:
        engine = create_engine(f"{self.address}/postgres", poolclass=NullPool)
        try:
            engine.connect().close()
        except OperationalError:
            return False
        return True

    def stop(self) -> None:
        """Stops the server; whoever is connected loses the connection."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(PATIENCE_SECONDS)

    def database(self) -> str:
        """The address of a new, empty database."""
        name = f"study{next(self._numbers)}"
        engine = create_engine(f"{self.address}/postgres", isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return f"{self.address}/{name}"

    @property
    def address(self) -> str:
        """Of the server, with the user's name and without the password."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}"


@contextmanager
def serving() -> Iterator[Server]:
    """A server that this process and its children know the password of."""
    found = [*sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")), shutil.which("initdb")]
    programs = next((Path(path).resolve().parent for path in found[::-1] if path), None)
    if programs is None:
        pytest.skip("no PostgreSQL server is installed here (Debian: apt-get install postgresql)")
    with tempfile.TemporaryDirectory(prefix="gs-pg-", dir="/tmp") as folder:
        server = Server(programs, Path(folder))
        try:
            yield server
        finally:
            del os.environ["PGPASSFILE"]
            server.stop()
