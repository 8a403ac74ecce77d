"""Where the time of all cores goes while trials run: ``overhead.py`` without the clock.

How fast a machine is changes from minute to minute, and so do the ratios of ways that run one after
the other. What part of its time goes into training changes little: the trials of a bare loop and of
``study launch`` run here while the processes of the machine are looked at every two seconds.

``trials`` are the processes that train, and what they do for Ray and for the record is in it too.
"""

import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import click
import psutil

LOOKS = 2.0
OVERHEAD = Path(__file__).with_name("overhead.py")
KINDS = {
    "trials": ("Trainable", "multiprocessing.spawn"),
    "driver": (OVERHEAD.name,),
    "MLflow": ("study.follower",),
    "Ray": ("ray::", "/ray/"),
}
COLUMNS = (*KINDS, "the machine", "idle")
Look = dict[int, tuple[str, float]]
"""Kind of each process, and its seconds of processor time so far; 0 is no process, but idling."""


@click.command()
@click.option("--trials", default=100, show_default=True)
@click.option("--epochs", default=9, show_default=True, help="Of each trial; 9 are about 0.6 s.")
@click.option("--pack", default=50, show_default=True, help="Trials that share a process.")
@click.option("--rounds", default=3, show_default=True)
def command(rounds: int, **options: int) -> None:
    """Compare how much of the cores' time a bare loop and a study train."""
    click.echo(f"{'way':<8}{''.join(f'{column:>13}' for column in COLUMNS)}")
    for _ in range(rounds):
        for way in ("floor", "ours"):
            shares = _shares(way, options)
            click.echo(f"{way:<8}{''.join(f'{shares[column]:>13.1%}' for column in COLUMNS)}")


def _shares(way: str, options: dict[str, int]) -> dict[str, float]:
    """Shares of the time of all cores between the first trial's start and the last one's end."""
    asked = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    looks: list[tuple[float, Look]] = []
    arguments = [sys.executable, str(OVERHEAD), *asked, "--way", way]
    with subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as running:
        while running.poll() is None:
            looks.append((time.time(), _look()))
            time.sleep(LOOKS)
        if running.returncode or running.stdout is None:
            raise click.ClickException(f"{way} failed; `{' '.join(arguments)}` tells why")
        span = json.loads(running.stdout.read().splitlines()[-1])
    inside = [look for look in looks if span["first"] < look[0] < span["last"]]
    if len(inside) < 2:
        raise click.ClickException(f"{way} took less than {2 * LOOKS:g} s; ask for more trials")
    (began, before), (ended, after) = inside[0], inside[-1]
    whole = (ended - began) * (os.cpu_count() or 1)
    shares: dict[str, float] = defaultdict(float)
    for process, (kind, seconds) in after.items():
        # Its kind may have changed: Ray starts processes before it knows what for.
        _, until_then = before.get(process, (kind, 0.0))
        shares[kind] += (seconds - until_then) / whole
    return shares


def _look() -> Look:
    times = psutil.cpu_times()
    look = {0: ("idle", times.idle + times.iowait)}
    for process in psutil.process_iter(["cmdline", "cpu_times"]):
        used = process.info["cpu_times"]
        if used is not None and process.pid != os.getpid():
            kind = _kind(" ".join(process.info["cmdline"] or ()))
            look[process.pid] = kind, used.user + used.system
    return look


def _kind(command_line: str) -> str:
    marks = ((kind, mark) for kind, of_kind in KINDS.items() for mark in of_kind)
    return next((kind for kind, mark in marks if mark in command_line), "the machine")


if __name__ == "__main__":
    command()
