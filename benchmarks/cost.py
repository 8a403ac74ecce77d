"""What `study check` says that studies will take, beside what their launches take.

    python benchmarks/cost.py study/examples/digits.yaml omniglot.yaml=omniglot.parquet ...

Time is that of the whole process, memory the most that the launch and all of its processes had at
once (shared pages counted once), disk what its root holds at the end. A figure inside the printed
range is marked with ``yes``.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from threading import Event, Thread

import click
import psutil

from study.check import prepare
from study.cost import GIB, MIB, Range, cost

SOME_FAILED = 1
"""Exit code of a study in which trials failed, and which ended all the same."""
SECONDS = 1.0
"""Between two looks at the memory of all processes."""


@click.command()
@click.argument("studies", nargs=-1, required=True, metavar="STUDY[=DATA]...")
@click.option("--root", type=click.Path(path_type=Path), help="Keep the studies below this folder.")
def command(studies: tuple[str, ...], root: Path | None) -> None:
    """Compare the cost of studies with what was expected of them."""
    click.echo(f"{'study':<24}{'':<8}{'expected':>18}{'actual':>10}  {'inside':<8}{'ratio':>6}")
    for study in studies:
        file, _, data = study.partition("=")
        with tempfile.TemporaryDirectory() as passing:
            folder = (root or Path(passing)) / Path(file).stem
            folder.mkdir(parents=True)
            expected = cost(prepare(Path(file), folder, data or None))
            seconds, memory = _launched(file, data, folder)
            disk = sum(path.stat().st_blocks * 512 for path in folder.rglob("*"))
        click.echo(_row(Path(file).stem, "minutes", expected.seconds, seconds, 60))
        click.echo(_row("", "GiB", expected.memory, memory, GIB))
        click.echo(_row("", "MiB disk", expected.disk, disk, MIB))


def _launched(file: str, data: str, root: Path) -> tuple[float, float]:
    """Seconds that a launch takes, and the most bytes that all of its processes have at once."""
    began, ended, peaks = time.perf_counter(), Event(), [0]
    arguments = ["launch", file, "--root", str(root), *(["--data", data] if data else [])]
    launch = subprocess.Popen(
        [sys.executable, "-m", "study", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )

    def watch() -> None:
        while not ended.wait(SECONDS):
            peaks.append(_memory(launch.pid))

    watcher = Thread(target=watch, daemon=True)
    watcher.start()
    _, errors = launch.communicate()
    seconds = time.perf_counter() - began
    ended.set()
    watcher.join()
    if launch.returncode not in (0, SOME_FAILED):
        raise click.ClickException(f"{file} failed:\n{errors}")
    return seconds, max(peaks)


def _memory(pid: int) -> int:
    """Bytes of a process and of all that it has started, shared pages counted once."""
    total = 0
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for process in family:
        try:
            total += process.memory_full_info().pss
        except psutil.Error:
            continue  # it has just ended
    return total


def _row(study: str, unit: str, expected: Range, actual: float, scale: float) -> str:
    inside = "yes" if expected.low <= actual <= expected.high else "no"
    span = f"{expected.low / scale:.2f} to {expected.high / scale:.2f}"
    middle = (expected.low * expected.high) ** 0.5
    return (
        f"{study:<24}{unit:<8}{span:>18}{actual / scale:>10.2f}  {inside:<8}{actual / middle:>6.2f}"
    )


if __name__ == "__main__":
    command()
