"""The commands that a page of the documentation shows, run as a reader would."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
SCRIPT = """\
#!{python}
from study.cli import main

if __name__ == "__main__":
    main()
"""


class Shown(NamedTuple):
    """A command and the lines that the page shows below it; ``...`` stands for anything."""

    command: str
    lines: list[str]

    def missing(self, output: str) -> list[str]:
        """The first shown line that the output lacks, after those above it; and what is left."""
        left = output.splitlines()
        for number, line in enumerate(self.lines):
            if line == "...":
                continue
            pattern = ".*".join(map(re.escape, re.split(r"\s*\.\.\.\s*", line)))
            is_next = number == 0 or self.lines[number - 1] != "..."
            places = [place for place, text in enumerate(left) if re.fullmatch(pattern, text)]
            if not places or (is_next and places[0] > 0):
                return [line, *left]
            left = left[places[0] + 1 :]
        return []


def commands(page: str) -> list[Shown]:
    """The commands of all blocks of a console, in their order."""
    found: list[Shown] = []
    for block in re.findall(r"^```console\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append(Shown(line.removeprefix("$ "), []))
            else:
                found[-1].lines.append(line)
    return found


@contextmanager
def shell(folder: Path, *packages: Path) -> Iterator[dict[str, str]]:
    """The environment of a shell that knows ``study``, and packages that lie in these folders."""
    programs = folder / "bin"
    programs.mkdir()
    (programs / "study").write_text(SCRIPT.format(python=sys.executable))
    (programs / "study").chmod(0o755)
    # Not under pytest's folder: Ray's socket names would become longer than the kernel allows.
    temporary = tempfile.mkdtemp(prefix="gs-", dir="/tmp")
    try:
        yield {
            **os.environ,
            "PATH": os.pathsep.join([str(programs), os.environ["PATH"]]),
            "PYTHONPATH": os.pathsep.join(map(str, [ROOT, *packages])),
            "RAY_TMPDIR": temporary,
            "LC_ALL": "C.UTF-8",
        }
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def run(
    command: str, folder: Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """What came of a command in a shell."""
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
