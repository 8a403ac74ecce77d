"""What running a study costs beyond the training itself: several ways to run the same trials.

Every way trains and judges the same configuration of an MLP on the digits, about 0.6 s each, or
with ``--images omniglot.parquet --epochs 1`` of conv4 on these, a few seconds each; as often as
asked and on all cores, with one thread each:

- ``floor``: a bare loop in as many processes as cores; no search, no record, no reports.
- ``stock``: a Ray Tuner with ``OptunaSearch``, one process a trial, as both are shipped.
- ``stock reused``: the same with ``reuse_actors``.
- ``optuna``: as many processes as cores on one Optuna study in a journal file.
- ``syne tune``: its local backend with a random search, where it is installed; it looks for ended
  trials ten times a second instead of every five seconds.
- ``ours``: ``study launch``: durable Optuna studies, pruning consulted, record, MLflow; each trial
  trained by itself.
- ``ours stacked``: the same, with the trials of a pack stepped as one.

Efficiency is the floor's wall time over that of a way, whole processes from start to end, imports
and cluster start included; and without these: from the first trial's start to the last one's end.
Machines are noisy: ways are run in turn, several rounds, and medians are printed. Before each, all
cores are kept busy for a while: many are faster at first than they stay, which is to the good of a
way that trains at once, and not of one that has begun with starting a cluster.
"""

import json
import multiprocessing
import os
import subprocess
import sys
import time
from statistics import median
from typing import Any

import click
from ways import WAYS, run
from work import Work

WARM_SECONDS = 60.0


@click.command()
@click.option("--trials", default=100, show_default=True)
@click.option("--epochs", default=9, show_default=True, help="Of each trial; 9 are about 0.6 s.")
@click.option("--rounds", default=3, show_default=True)
@click.option(
    "--pack", default=8, show_default=True, help="Trials that share a process, ours only."
)
@click.option("--images", type=click.Path(exists=True), help="Train conv4 on these instead.")
@click.option("--without", type=click.Choice(WAYS[1:]), multiple=True, help="Leave it out.")
@click.option("--way", type=click.Choice(WAYS), help="Run this one and print its times as JSON.")
def command(rounds: int, without: tuple[str, ...], way: str | None, **options: Any) -> None:
    """Compare the overhead of ways to run the same trials."""
    if way is not None:
        click.echo(json.dumps(run(way, Work(**options))))
        return
    times: dict[str, list[dict[str, float]]] = {name: [] for name in WAYS if name not in without}
    for _ in range(rounds):
        for name in times:
            _keep_busy()
            times[name].append(_in_a_process(name))
    click.echo(_table(times, options["trials"], rounds))


def _keep_busy() -> None:
    cores = os.cpu_count() or 1
    with multiprocessing.get_context("spawn").Pool(cores) as pool:
        pool.map(_work_until, [time.monotonic() + WARM_SECONDS] * cores, chunksize=1)


def _work_until(moment: float) -> None:
    while time.monotonic() < moment:
        sum(range(10_000))


def _in_a_process(way: str) -> dict[str, float]:
    """This command with these options, for one way."""
    began = time.time()
    done = subprocess.run(
        [sys.executable, *sys.argv, "--way", way],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise click.ClickException(f"{way} failed:\n{done.stderr}")
    spans = json.loads(done.stdout.splitlines()[-1])
    return {"whole": time.time() - began, "trials": spans["last"] - spans["first"]}


def _table(times: dict[str, list[dict[str, float]]], trials: int, rounds: int) -> str:
    medians = {
        (way, span): median(run[span] for run in runs)
        for way, runs in times.items()
        for span in ("whole", "trials")
    }
    lines = [
        f"{trials} trials, {os.cpu_count()} cores, medians of {rounds} rounds",
        f"{'way':<14}{'whole s':>9}{'efficiency':>12}{'trials s':>10}{'efficiency':>12}",
    ]
    for way in times:
        cells = [
            f"{medians[way, 'whole']:>9.1f}",
            f"{medians['floor', 'whole'] / medians[way, 'whole']:>12.2f}",
            f"{medians[way, 'trials']:>10.1f}",
            f"{medians['floor', 'trials'] / medians[way, 'trials']:>12.2f}",
        ]
        lines.append(f"{way:<14}{''.join(cells)}")
    return "\n".join(lines)


if __name__ == "__main__":
    command()
