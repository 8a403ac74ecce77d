"""Makes a machine the head of a cluster: passwords, and a PostgreSQL that only they open.

``python -m study.head`` is what ``cluster.yaml`` runs there; done twice it changes nothing. All of
it belongs to the user who runs it: in ``~/.groupstudy``, and a line in ``~/.pgpass`` and
``~/.mlflow/credentials``, where launches and the server look by themselves.
"""

import getpass
import secrets
import subprocess
import sys
from pathlib import Path

from study.errors import ConfigError, StudyError

FOLDER = ".groupstudy"
PORT = 5433
"""Debian's own server, if there is one, has 5432."""
DATABASES = ("mlflow", "studies")
BINARIES = "/usr/lib/postgresql"


def keep_passwords(home: Path) -> None:
    """Makes the passwords that are missing, and writes them where clients look.

    Args:
        home: of the user.
    """
    folder = home / FOLDER
    folder.mkdir(exist_ok=True)
    folder.chmod(0o700)
    admin, password = (_secret(folder / f"{name}-password") for name in ("admin", "database"))
    _write_once(
        home / ".mlflow" / "credentials",
        f"[mlflow]\nmlflow_tracking_username = admin\nmlflow_tracking_password = {admin}\n",
    )
    _add_line(home / ".pgpass", f"localhost:{PORT}:*:{getpass.getuser()}:{password}\n")


def keep_database(home: Path, binaries: Path) -> None:
    """Makes the databases that are missing, and starts their server if it does not run.

    Args:
        home: of the user, with passwords.
        binaries: the folder with PostgreSQL's ``initdb``, ``pg_ctl`` and ``createdb``.

    Raises:
        ConfigError: if PostgreSQL refuses, and why.
    """
    folder, data = home / FOLDER, home / FOLDER / "postgresql"
    if not (data / "PG_VERSION").exists():
        password = folder / "database-password"
        options = ["--auth", "scram-sha-256", "--pwfile", str(password), "--encoding", "UTF8"]
        user = ["--username", getpass.getuser()]
        _run([str(binaries / "initdb"), "--pgdata", str(data), *user, *options])
    control = [str(binaries / "pg_ctl"), "--pgdata", str(data)]
    if subprocess.run([*control, "status"], stdout=subprocess.DEVNULL).returncode:
        where = f"-c listen_addresses=localhost -c port={PORT} -c unix_socket_directories={folder}"
        log = str(folder / "postgresql.log")
        _run([*control, "--wait", "--log", log, "--options", where, "start"])
    for name in DATABASES:
        place = ["--host", "localhost", "--port", str(PORT), "--no-password", name]
        _run([str(binaries / "createdb"), *place], "already exists")


def binaries() -> Path:
    """Where Debian's newest PostgreSQL is.

    Raises:
        ConfigError: if it is not installed.
    """
    found = sorted(Path(BINARIES).glob("*/bin"), key=lambda path: int(path.parent.name))
    if not found:
        raise ConfigError(BINARIES, ["holds no PostgreSQL; `apt-get install postgresql`"])
    return found[-1]


def _secret(file: Path) -> str:
    _write_once(file, secrets.token_urlsafe(24))
    return file.read_text()


def _write_once(file: Path, text: str) -> None:
    file.parent.mkdir(exist_ok=True)
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(text)


def _add_line(file: Path, line: str) -> None:
    file.touch(mode=0o600)
    file.chmod(0o600)
    known = file.read_text()
    if line not in known:
        # The first line that fits counts.
        file.write_text(line + known)


def _run(command: list[str], allowed: str = "\n") -> None:
    """Runs a command; a failure that says what is allowed is none."""
    ended = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if ended.returncode and allowed not in ended.stderr:
        reason = ended.stderr.strip() or f"exit code {ended.returncode}"
        raise ConfigError(command[0], reason.splitlines())


if __name__ == "__main__":
    try:
        keep_passwords(Path.home())
        keep_database(Path.home(), binaries())
    except StudyError as problem:
        sys.exit(str(problem))
