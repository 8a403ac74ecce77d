"""How a study gains by nodes: 1, 2 and 4 of them, simulated on this machine, each with one CPU.

    python benchmarks/scaling.py [--trials 48] [--wait 0.5]

Trials mostly wait, as if for a GPU, so that several nodes need no more cores than this machine has;
what is measured is whether the driver hands out trials, hears of them and publishes them fast
enough for all. A trial waits twelve times. The head has no CPU for trials. Efficiency is the time
on one node over that on n nodes times n, from the first trial's start to the last one's end.
"""

import os
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path
from textwrap import dedent
from typing import Any

import click

WAITING = '''
import time

from trainables.contracts import HullAggregator


class WaitingAggregator(HullAggregator):
    """The mean, after a while."""

    def __init__(self, width: int, *, seconds: float = 0.5) -> None:
        super().__init__(width)
        self._seconds = seconds

    def weights(self, embeddings, mask):
        if self.training:
            time.sleep(self._seconds)
        real = mask.to(embeddings.dtype)
        return real / real.sum(1, keepdim=True)
'''
STUDY = """
name: scaling
data: {source: digits, split: points, folds: 1}
search:
  encoder: {linear: {width: 16}}
  aggregator: {waiting: {seconds: WAIT}}
  loss: {triplet: {margin: {low: 0.05, high: 0.5, log: true}}}
  training: {epochs: 4, classes_per_batch: 10, groups_per_class: 8, group_size: 4}
budget: {trials_per_combination: TRIALS, pack: 2, stacked: never}
algorithm: {report_every: 2, pruner: none}
protocol: {sizes: [2], size: 2, draws: 1, confirmation: {top: 0}}
"""


@click.command()
@click.option("--trials", default=48, show_default=True)
@click.option("--wait", default=0.5, show_default=True, help="Seconds of a step.")
@click.argument("nodes", nargs=-1, type=int)
def command(trials: int, wait: float, nodes: tuple[int, ...]) -> None:
    """Compare the time of a study on several numbers of nodes."""
    os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex())
    click.echo(f"{'nodes':>6}{'trials s':>10}{'efficiency':>12}")
    first = 0.0
    for count in nodes or (1, 2, 4):
        with tempfile.TemporaryDirectory() as folder:
            seconds = _measured(Path(folder), trials, wait, count)
        first = first or seconds * count
        click.echo(f"{count:>6}{seconds:>10.1f}{first / (count * seconds):>12.2f}")


def _measured(folder: Path, trials: int, wait: float, nodes: int) -> float:
    """Seconds from the first trial's start to the last one's end."""
    from ray.cluster_utils import Cluster

    from study.record import Record

    _install(folder / "packages")
    os.environ["PYTHONPATH"] = str(folder / "packages")
    file = folder / "scaling.yaml"
    file.write_text(STUDY.replace("TRIALS", str(trials)).replace("WAIT", str(wait)))
    cluster: Any = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        for _ in range(nodes):
            cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        root = folder / "studies"
        launch = ["launch", file, "--root", root, "--address", cluster.address]
        subprocess.run(
            [sys.executable, "-m", "study", *map(str, launch)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )
    finally:
        cluster.shutdown()
    outcomes = [result.outcome for result in Record(root / "scaling").results()]
    searched = [outcome for outcome in outcomes if outcome.history]
    return max(o.ended for o in searched) - min(o.started for o in searched)


def _install(folder: Path) -> None:
    """A package that announces the component that waits."""
    package, about = folder / "waiting_package", folder / "waiting_package-1.0.dist-info"
    package.mkdir(parents=True)
    about.mkdir()
    (package / "__init__.py").write_text(dedent(WAITING))
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: waiting-package\nVersion: 1.0\n")
    entry = "[groupstudy.aggregators]\nwaiting = waiting_package:WaitingAggregator\n"
    (about / "entry_points.txt").write_text(entry)


if __name__ == "__main__":
    command()
