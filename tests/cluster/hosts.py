"""Machines on one machine: network, process, mount and name spaces, an sshd each, and a bridge.

Nothing outside of these spaces is changed: they vanish with the processes that hold them, which end
with this one. A host has its own home, temporary folder, process numbers and address; packages and
the folder of studies are seen by all, the latter in place of a network file system.
"""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, final

ROOT = Path(__file__).parents[2]
START = Path(__file__).with_name("host.sh")
TOOLS = ("ip", "sshd", "ssh", "ssh-keygen", "rsync", "unshare", "nsenter", "make", "curl", "ss")
USER, USER_ID = "study", 12345
NETWORK = "10.77.0"
PATIENCE_SECONDS = 30


def missing() -> list[str]:
    """What keeps this machine from being several."""
    lacking = [] if os.geteuid() == 0 else ["the user root"]
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    lacking += [tool for tool in TOOLS if shutil.which(tool, path=path) is None]
    has_database = list(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return lacking if has_database else [*lacking, "postgresql"]


@final
class Host:
    """One machine.

    Args:
        name: of the host.
        number: the last part of its address.
        process: holds its spaces, and ends with all that runs there.
    """

    def __init__(self, name: str, number: int, process: subprocess.Popen[bytes]) -> None:
        self.name, self.address, self.process = name, f"{NETWORK}.{number}", process
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        _until(lambda: bool(children.read_text()), f"{name} did not start")
        self.pid = int(children.read_text())

    def entering(self, *command: str) -> list[str]:
        """A command that runs another as root of the host, in the folder of this project."""
        spaces = ["--mount", "--net", "--pid", "--uts", f"--wdns={ROOT}"]
        return ["nsenter", "--target", str(self.pid), *spaces, *command]

    def inside(self, *command: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Runs a command as root of the host."""
        options = {"text": True, "capture_output": True, **options}
        return subprocess.run(self.entering(*command), **options)


@final
class Laboratory:
    """Hosts on one bridge; the first, the laptop, holds the bridge and the keys to the others."""

    def __init__(self, folder: Path, hosts: dict[str, Host]) -> None:
        self.folder, self.hosts = folder, hosts
        self.laptop = hosts["laptop"]
        self.studies = folder / "studies"

    def login(self, host: str, command: str, *options: str) -> list[str]:
        """A command that runs another on a host as its user does, from the laptop."""
        quiet = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-q"]
        place = f"{USER}@{self.hosts[host].address}"
        shell = f"bash -ic {shlex.quote(command)}"
        ssh = ["ssh", *quiet, "-i", "/root/.ssh/id", *options, place, shell]
        return self.laptop.entering(*ssh)

    def ssh(self, host: str, command: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Runs a command on a host as its user does, from the laptop."""
        options = {"text": True, "capture_output": True, "timeout": 120, **options}
        return subprocess.run(self.login(host, command), **options)

    def cut(self, host: str) -> None:
        """Pulls the host's cable."""
        self._link(host, "down")

    def mend(self, host: str) -> None:
        """Puts the host's cable back."""
        self._link(host, "up")

    def _link(self, host: str, state: str) -> None:
        self.laptop.inside("ip", "link", "set", f"to-{host}", state, check=True)


@contextmanager
def laboratory(*names: str) -> Iterator[Laboratory]:
    """A laptop and hosts of these names, until the end of the block."""
    # Not under /tmp: every host has its own.
    folder = Path(tempfile.mkdtemp(prefix="groupstudy-cluster-", dir="/var/tmp"))
    folder.chmod(0o755)
    _prepare(folder)
    try:
        with ExitStack() as stack:
            hosts = {
                name: Host(name, number, stack.enter_context(_spaces(name, folder)))
                for number, name in enumerate(["laptop", *names], 1)
            }
            _connect(hosts)
            made = Laboratory(folder, hosts)
            for name in names:
                answers = partial(made.ssh, name, "true")
                _until(lambda ask=answers: ask().returncode == 0, f"{name} answers no ssh")
            yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _prepare(folder: Path) -> None:
    for name in ("id", "host"):
        key = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(key, check=True)
    (folder / "studies").mkdir()
    os.chown(folder / "studies", USER_ID, USER_ID)
    wheels = ["pip", "download", "--quiet", "--no-deps", "--dest", str(folder / "wheels")]
    # What builds a package, and comes from the network where there is one.
    subprocess.run([sys.executable, "-m", *wheels, "setuptools>=77"], check=True, cwd=folder)


@contextmanager
def _spaces(name: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    # However this process ends, the host does too.
    spaces = ["setpriv", "--pdeathsig", "KILL"]
    spaces += ["unshare", "--net", "--mount", "--pid", "--uts", "--fork", "--kill-child"]
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [*spaces, "bash", str(START), name, str(folder)],
            env={
                "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "REPOSITORY": str(ROOT),
                "PACKAGES": str(Path(os.__file__).parent),
                "PYTHON": os.path.realpath(sys.executable),
                "PYTHON_HOME": sys.base_prefix,
                "ENVIRONMENT": sys.prefix,
                "USER_NAME": USER,
                "USER_ID": str(USER_ID),
            },
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _connect(hosts: dict[str, Host]) -> None:
    laptop, *others = hosts.values()
    for host in hosts.values():
        host.inside("ip", "link", "set", "lo", "up", check=True)
    laptop.inside("ip", "link", "add", "bridge", "type", "bridge", check=True)
    _address(laptop, "bridge")
    for host in others:
        here, there = f"to-{host.name}", ["peer", "name", "eth0", "netns", str(host.pid)]
        # From outside: the kernel knows the host's process by this number here alone.
        link = ["ip", "link", "add", here, "type", "veth", *there]
        enter = ["nsenter", "--target", str(laptop.pid), "--net"]
        subprocess.run([*enter, *link], check=True)
        laptop.inside("ip", "link", "set", here, "master", "bridge", "up", check=True)
        _address(host, "eth0")


def _address(host: Host, device: str) -> None:
    host.inside("ip", "address", "add", f"{host.address}/24", "dev", device, check=True)
    host.inside("ip", "link", "set", device, "up", check=True)


def _until(is_so: Any, otherwise: str) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < until, otherwise
        time.sleep(0.1)
