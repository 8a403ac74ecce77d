"""Studies to be hit by faults, launched as a user does.

A package adds one component to the platform, :mod:`tests.faults.faulty`.
"""

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import yaml

from tests.study import plug_ins
from tests.study.launches import STUDY, published, started, write_study

FAULTY = Path(__file__).with_name("faulty.py")
PATIENCE_SECONDS = 600.0
Process = subprocess.Popen[str]
Ended = subprocess.CompletedProcess[str]


def install_faulty(folder: Path) -> Path:
    """A folder for Python's path, with a package that announces the faulty component."""
    return plug_ins.install(folder, FAULTY, "faulty = FaultyAggregator")


@final
@dataclass(frozen=True)
class FaultStudy:
    """A study in a folder of its own.

    Args:
        packages: folder of what is installed besides the platform.
        file: its study file.
        seconds: wall time of each launch so far.
    """

    packages: Path
    file: Path
    seconds: list[float] = field(default_factory=list)

    @classmethod
    def write(cls, packages: Path, folder: Path, **changes: Any) -> "FaultStudy":
        """A study file like that of all launches, with changed keys in its sections."""
        folder.mkdir(exist_ok=True)
        content = yaml.safe_load(STUDY)
        for section, values in changes.items():
            known = content.get(section, {})
            content[section] = {**known, **values} if isinstance(values, dict) else values
        return cls(packages, write_study(folder, yaml.safe_dump(content)))

    @property
    def folder(self) -> Path:
        """The study folder."""
        return self.file.parent / "studies" / "small"

    @property
    def environment(self) -> dict[str, str]:
        """What a process must have in its environment to see the faulty component."""
        return {"PYTHONPATH": plug_ins.path_with(self.packages)}

    @property
    def results(self) -> int:
        """How many results are published."""
        return len(published(self.file))

    @property
    def confirmed(self) -> int:
        """How many of them are confirmations."""
        return sum("-confirm-" in path.parent.name for path in published(self.file))

    @property
    def begun(self) -> int:
        """How many attempts have begun."""
        return len(list(self.folder.glob("trials/*/attempt-*")))

    @contextmanager
    def launching(self, *more: str, **environment: str) -> Iterator[Process]:
        """A launch that runs while the context lasts."""
        began = time.monotonic()
        with started(self.file, *more, **{**self.environment, **environment}) as process:
            yield process
        self.seconds.append(time.monotonic() - began)

    def launch(self, *more: str, **environment: str) -> Ended:
        """A launch, from its start to its end."""
        with self.launching(*more, **environment) as process:
            return ended(process)

    def launch_until(self, condition: Callable[[], object], *signals: signal.Signals) -> Ended:
        """A launch whose driver gets signals once a condition holds."""
        with self.launching() as process:
            until(process, condition)
            for number in signals:
                process.send_signal(number)
                time.sleep(0.2 * (len(signals) > 1))
            return ended(process)


def ended(process: Process, patience: float = PATIENCE_SECONDS) -> Ended:
    """Waits for the end of a launch."""
    output, errors = process.communicate(timeout=patience)
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def until(
    process: Process, condition: Callable[[], object], patience: float = PATIENCE_SECONDS
) -> None:
    """Waits until a condition holds, while a launch runs."""
    latest = time.monotonic() + patience
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < latest, "the study made no progress"
        time.sleep(0.02)
