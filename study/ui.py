"""MLflow's own server over a folder of studies: for this machine alone, or behind a password."""

import ipaddress
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import final
from urllib.parse import urlsplit

from study.addresses import tells_password
from study.errors import ConfigError, RecordError
from study.ui_access import Access
from study.ui_links import links
from trainables.places import Place

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


@final
@dataclass(frozen=True)
class Service:
    """What is served, where and to whom.

    Args:
        root: the folder of all studies.
        host: the address to listen at.
        port: the port to listen at.
        password_file: holds the password of MLflow's user ``admin``; without one nobody is asked.
        allowed_hosts: further names, with their port, under which browsers may call the server.
        database: of a tracking server; by default the file that launches keep beside the studies.
        artifacts: folder or address of what runs have stored; by default the one beside the
            studies.
    """

    root: Place
    host: str = "127.0.0.1"
    port: int = 5000
    password_file: Path | None = None
    allowed_hosts: tuple[str, ...] = ()
    database: str | None = None
    artifacts: str | None = None


def address(service: Service) -> str:
    """Where a browser finds the studies; MLflow's pages begin at language models otherwise."""
    return f"http://{_place(service)}/#/experiments?workflowType=machine_learning"


def serve(service: Service) -> None:
    """Becomes the MLflow server; never returns.

    Says first which address to open, and where each study's best trials and charts are.

    Raises:
        RecordError: if no study under the root was tracked there.
        ConfigError: if others than this machine's users could reach it without a password, or a
            password would be seen by others.
    """
    access = _access(service)
    command = [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--backend-store-uri", _database(service)),
        *("--artifacts-destination", _artifacts(service)),
        *("--host", service.host, "--port", str(service.port), "--workers", "1"),
        *("--allowed-hosts", ",".join(_hosts(service))),
        *("--cors-allowed-origins", ",".join(f"http://{host}" for host in _hosts(service))),
        *(("--app-name", "basic-auth") if access else ()),
    ]
    # Everything MLflow writes from here on, its databases too, is for this user alone.
    os.umask(0o077)
    settings = {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        **(access.settings() if access else {}),
    }
    sys.stdout.write(f"open {address(service)}\n")
    for line in links(f"http://{_place(service)}/", _database(service)):
        sys.stdout.write(f"  {line}\n")
    sys.stdout.flush()
    os.execve(sys.executable, command, {**os.environ, **settings})


def _access(service: Service) -> Access | None:
    problems = []
    if service.password_file is None and not _is_loopback(service.host):
        problems.append(
            "--host: others could read and change every study; give --password-file, or listen at "
            "127.0.0.1 and use an ssh tunnel"
        )
    if service.database and tells_password(urlsplit(service.database)):
        problems.append(
            "--database: every user of this machine could see the password in it; "
            "put it into ~/.pgpass or the file that PGPASSFILE names"
        )
    access = Access(service.password_file) if service.password_file else None
    problems += access.problems() if access else []
    if problems:
        raise ConfigError("study ui", problems)
    return access


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _database(service: Service) -> str:
    if service.database:
        return service.database
    file = (service.root / "mlflow.db").absolute()
    if not isinstance(file, Path) or not file.exists():
        problem = "holds no MLflow database; launch a study there first"
        raise RecordError(service.root, [problem])
    return f"sqlite:///{file}"


def _artifacts(service: Service) -> str:
    return service.artifacts or str((service.root / "mlartifacts").absolute())


def _hosts(service: Service) -> list[str]:
    """The Host headers that are answered: a foreign page cannot make a browser send one of them."""
    names = [f"{name}:{service.port}" for name in LOOPBACK_NAMES]
    return list(dict.fromkeys([_place(service), *names, *service.allowed_hosts]))


def _place(service: Service) -> str:
    host = f"[{service.host}]" if ":" in service.host.strip("[]") else service.host
    return f"{host}:{service.port}"
