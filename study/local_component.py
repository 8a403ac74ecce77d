"""A component in a file of one's own: made a small package, and installed where Python looks.

So it has what an installed package has: a version, which is the digest of the file, in record and
export, a check that all nodes of a cluster have the same one, and a name in study files.
"""

import base64
import hashlib
import importlib.util
import inspect
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

from study.errors import ConfigError
from trainables import catalogue, plug_ins

PREFIX = "groupstudy_local_"
DIGITS = 12
WHEEL = "Wheel-Version: 1.0\nGenerator: groupstudy\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


class LocalComponent(NamedTuple):
    """A component of a file: its slot and name, and the package that is made of it."""

    slot: str
    name: str
    class_name: str
    version: str

    @property
    def module(self) -> str:
        """What Python imports, which is also the package's name."""
        return f"{PREFIX}{self.name}"

    @property
    def text(self) -> str:
        """What was installed, and how a study names it."""
        package = self.module.replace("_", "-")
        return (
            f"installed {self.name} ({package} {self.version}); a study names it as "
            f"search.{self.slot}.{self.name}, and `pip uninstall {package}` removes it"
        )


def install(file: Path) -> LocalComponent:
    """Installs the component of a file beside this program; once more after it was changed.

    Args:
        file: ``NAME.py`` with one class derived from a contract of ``trainables.contracts``.

    Raises:
        ConfigError: if it is not there, does not hold one sound component, or pip refuses.
    """
    found = read(file)
    with tempfile.TemporaryDirectory() as folder:
        wheel = _write_wheel(found, file.read_bytes(), Path(folder))
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        offline = ["--no-index", "--no-deps", "--force-reinstall", str(wheel)]
        done = subprocess.run([*pip, *offline], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ConfigError(file, [f"pip could not install it: {done.stderr.strip()}"])
    return found


def read(file: Path) -> LocalComponent:
    """The component that a file holds; runs the file.

    Raises:
        ConfigError: as :func:`install`.
    """
    if not file.is_file():
        raise ConfigError(file, ["there is no such file"])
    if file.suffix != ".py" or not plug_ins.NAME.fullmatch(file.stem):
        raise ConfigError(
            file, ["must be called NAME.py, of small letters, digits and underscores"]
        )
    slots = _classes(file)
    if len(slots) != 1:
        contracts = ", ".join(contract.__name__ for contract in plug_ins.CONTRACTS.values())
        raise ConfigError(
            file, [f"holds {len(slots)} classes derived from {contracts}; one file has one"]
        )
    ((slot, component),) = slots
    problem = catalogue.class_flaw(slot, component)
    if problem:
        problem = f"{component.__name__}: {problem}"
    elif file.stem in catalogue.shipped(slot):
        problem = f"this program has a {file.stem} of its own; call the file otherwise"
    if problem:
        raise ConfigError(file, [problem])
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:DIGITS]
    return LocalComponent(slot, file.stem, component.__name__, f"0+{digest}")


def _classes(file: Path) -> list[tuple[str, type]]:
    """Slot and class of every class of a file that is derived from a contract."""
    name = f"{PREFIX}{file.stem}"
    specification = importlib.util.spec_from_file_location(name, file)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    try:
        specification.loader.exec_module(module)
    except Exception as error:  # the file may do anything
        problem = f"cannot be imported: {type(error).__name__}: {error}"
        raise ConfigError(file, [problem]) from error
    own = [c for _, c in inspect.getmembers(module, inspect.isclass) if c.__module__ == name]
    return [
        (slot, component)
        for component in own
        for slot, contract in plug_ins.CONTRACTS.items()
        if issubclass(component, contract)
    ]


def _write_wheel(component: LocalComponent, code: bytes, folder: Path) -> Path:
    """A wheel as the specification of binary distributions has it: a zip with a list of files."""
    stem = f"{component.module}-{component.version}"
    information = f"{stem}.dist-info"
    group = f"groupstudy.{catalogue.SLOTS[component.slot]}"
    target = f"{component.module}:{component.class_name}"
    files = {
        f"{component.module}.py": code,
        f"{information}/METADATA": (
            f"Metadata-Version: 2.1\nName: {component.module}\nVersion: {component.version}\n"
        ).encode(),
        f"{information}/WHEEL": WHEEL.encode(),
        f"{information}/entry_points.txt": f"[{group}]\n{component.name} = {target}\n".encode(),
    }
    lines = (f"{name},{_digest(content)},{len(content)}\n" for name, content in files.items())
    record = "".join(lines)
    files[f"{information}/RECORD"] = f"{record}{information}/RECORD,,\n".encode()
    wheel = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return wheel


def _digest(content: bytes) -> str:
    encoded = base64.urlsafe_b64encode(hashlib.sha256(content).digest())
    return f"sha256={encoded.decode().rstrip('=')}"
