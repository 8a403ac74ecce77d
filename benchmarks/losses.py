"""Each loss beside the nearest one of pytorch-metric-learning, trained on the same batches.

    python benchmarks/losses.py omniglot.parquet

Encoder conv4, aggregator mean, the official split: background classes to train on, evaluation
classes to judge by. Both of a pair start from the same weights and see the same batches in as many
steps; settings are by hand, the same on both sides where both have them. Printed are recall@1 of
groups of five and of single points, and half of the 95% interval of their difference, from the
number of queries alone; repeat with other seeds to see what training adds.
"""

import multiprocessing
import os
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any, final

import click
import torch

from trainables.evaluation import Protocol
from trainables.sources import read_parquet
from trainables.splits import hold_out
from trainables.tasks import Rules, StudyData, TrialTask
from trainables.training import TrialRun

LEVEL = {"level": "both"}
MINED = {"margin": 0.2, "miner_margin": 0.2, "miner_type_of_triplets": "semihard"}
SEMI_HARD = ("library-TripletMarginLoss-TripletMarginMiner", MINED | LEVEL)
SOFTMAX = ("library-NormalizedSoftmaxLoss", {"temperature": 0.05} | LEVEL)
SUPERVISED = ("library-SupConLoss", {"temperature": 0.1} | LEVEL)
ANGLES = ("library-ArcFaceLoss", {"margin": 11.5, "scale": 16.0} | LEVEL)  # 0.2, in degrees
Named = tuple[str, dict[str, Any]]
PAIRS: list[tuple[Named, Named]] = [
    (("triplet", {"margin": 0.2, "mining": "semi_hard"} | LEVEL), SEMI_HARD),
    (("bound", {"form": "t9", "margin": 0.5} | LEVEL), SEMI_HARD),
    (("infonce", {"temperature": 0.1, "positives": "labels"} | LEVEL), SUPERVISED),
    (
        ("contrastive", {"positive_margin": 0.0, "negative_margin": 1.0} | LEVEL),
        ("library-ContrastiveLoss", {"pos_margin": 0.0, "neg_margin": 1.0} | LEVEL),
    ),
    (("arcface", {"margin": 0.2, "scale": 16.0} | LEVEL), ANGLES),
    (("groupface", {"margin": 0.2, "scale": 16.0, "warm_up": 5} | LEVEL), ANGLES),
    (("group_loss", {"temperature": 10.0} | LEVEL), SOFTMAX),
    (("smog", {"assignment": "labels", "groups": 964} | LEVEL), SOFTMAX),
]
ENCODERS = {"groupface": "groupface-conv4"}
VIEWED = {"smog"}
RATES = {"contrastive": 2e-3, "arcface": 3e-3, "groupface": 3e-3}
"""Learning rates by our loss, for both of a pair, where the usual one is too low."""
QUERIES = {"test/recall_at_1.size5": 659 * 4, "test/recall_at_1.points": 13180}
"""Judged once each: groups of five of one draw, and the points of the evaluation classes."""


@final
@dataclass(frozen=True)
class Job:
    """One training: a loss with its options, and what else the two of a pair share."""

    data: Path
    encoder: str
    loss: str
    options: dict[str, Any]
    has_views: bool
    rate: dict[str, float]
    epochs: int
    channels: int
    seed: int


@click.command()
@click.argument("data", type=click.Path(path_type=Path, exists=True))
@click.option("--epochs", default=10, show_default=True)
@click.option("--channels", default=32, show_default=True, help="Of conv4.")
@click.option("--seed", default=20230606, show_default=True)
@click.option("--only", multiple=True, help="Losses to compare; all by default.")
def command(data: Path, epochs: int, channels: int, seed: int, only: tuple[str, ...]) -> None:
    """Compare losses with those of the library on Omniglot."""
    pairs = [pair for pair in PAIRS if not only or pair[0][0] in only]
    jobs = [
        Job(data, encoder, *named, ours[0] in VIEWED, rate, epochs, channels, seed)
        for ours, nearest in pairs
        for encoder in [ENCODERS.get(ours[0], "conv4")]
        for rate in [{"learning_rate": RATES[ours[0]]} if ours[0] in RATES else {}]
        for named in (ours, nearest)
    ]
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        found = pool.map(trained, jobs, chunksize=1)
    click.echo("| loss | groups of 5 | points | nearest of the library | groups of 5 | points |")
    click.echo("|---|---|---|---|---|---|")
    for job, ours, nearest, other in zip(
        jobs[::2], found[::2], jobs[1::2], found[1::2], strict=True
    ):
        click.echo(f"| {job.loss} | {cells(ours)} | {nearest.loss} | {cells(other)} |")
        for name in QUERIES:
            half = half_interval(ours[name], other[name], QUERIES[name])
            if ours[name] + half < other[name]:
                click.echo(f"{job.loss} is below in {name} by more than {half:.4f}", err=True)


def trained(job: Job) -> dict[str, float]:
    """Metrics on the evaluation classes."""
    torch.set_num_threads(1)
    points = read_parquet(job.data)
    configuration = {
        "encoder": {job.encoder: {"width": 64, "channels": job.channels}},
        "aggregator": {"mean": {}},
        "loss": {job.loss: job.options},
        "views": {"affine": {}} if job.has_views else {},
        "training": {"epochs": job.epochs, "classes_per_batch": 32, "group_size": 2, **job.rate},
    }
    protocol = Protocol(sizes=(1, 5), draws=1, seed=job.seed)
    rules = Rules(protocol, "recall_at_1.size5", unit_length=True, report_every=job.epochs)
    task = TrialTask(job.loss, "confirmation", configuration, (job.seed,))
    study = StudyData(points, (), hold_out(points, "official", 0.0, job.seed))
    outcome = TrialRun(task, study, rules).run()
    return {name: outcome.metrics[name] for name in QUERIES}


def half_interval(one: float, other: float, queries: int) -> float:
    """Half of the 95% interval of the difference of two shares of as many queries."""
    return 1.96 * sqrt((one * (1 - one) + other * (1 - other)) / queries)


def cells(metrics: dict[str, float]) -> str:
    """Both recalls, as cells of a table."""
    return " | ".join(f"{metrics[name]:.3f}" for name in QUERIES)


if __name__ == "__main__":
    command()
