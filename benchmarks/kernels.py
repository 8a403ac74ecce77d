"""Our losses, metrics and bounds beside what one would take instead: time and memory, one thread.

    python benchmarks/kernels.py [losses] [metrics] [bounds] [packs]

- ``losses``: value and gradient on n rows of 64 numbers, eight a class, beside the same loss of
  pytorch-metric-learning.
- ``metrics``: map@R, R-precision and recall@1 beside that library's ``AccuracyCalculator``.
- ``bounds``: margin m*, nearest other classes and reach of all points, beside the bare products of
  the same tiles of the distance matrix, half of which is symmetric.
- ``packs``: an epoch of members of an MLP on the digits, as one, beside one after the other.

Every measurement runs in a process of its own, which keeps freed memory as that of a pack does: the
median of some calls, and by how much memory grew at its peak. Losses and bounds are measured three
times, in turn with what is beside them. Ratios are theirs over ours.
"""

import multiprocessing
import resource
from collections.abc import Callable, Iterator
from functools import partial
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

import click
import torch
from torch import Tensor

WIDTH, EACH = 64, 8
ENOUGH, LONG = 1.0, 10.0
"""Seconds of calls after which there are enough, of at least three; and whatever their number."""
MIB = 1 << 20
SIZES = (128, 256, 512, 1024, 2048, 4096)


class Measured(NamedTuple):
    """Median seconds of a call, and bytes that the process grew by."""

    seconds: float
    memory: int


class Line(NamedTuple):
    """Two ways to one result; the other is None where it takes too much time."""

    name: str
    ours: Measured
    other: Measured | None


def measured(call: Callable[[], Any]) -> Measured:
    """Runs a call in a forked process."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=lambda: sender.send(_measure(call)))
    process.start()
    found: Measured = receiver.recv()
    process.join()
    return found


def _in_turn(*calls: Callable[[], Any]) -> list[Measured]:
    """Each of some calls three times: a machine changes between one and the next."""
    rounds = [[measured(call) for call in calls] for _ in range(3)]
    return [
        Measured(median(one.seconds for one in of_call), max(one.memory for one in of_call))
        for of_call in zip(*rounds, strict=True)
    ]


def _measure(call: Callable[[], Any]) -> Measured:
    from trainables.allocation import keep_freed_memory

    keep_freed_memory()
    before, seconds = _peak(), []
    while sum(seconds) < LONG and (
        len(seconds) < 3 or (sum(seconds) < ENOUGH and len(seconds) < 100)
    ):
        began = perf_counter()
        call()
        seconds.append(perf_counter() - began)
    return Measured(median(seconds), _peak() - before)


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def rows(count: int) -> tuple[Tensor, Tensor]:
    """Overlapping classes of eight rows each."""
    labels = torch.arange(count) // EACH
    generator = torch.Generator().manual_seed(count)
    centres = torch.randn(count // EACH, WIDTH, generator=generator)
    return centres[labels] + torch.randn(count, WIDTH, generator=generator), labels


def _with_gradient(loss: Callable[[Tensor, Tensor], Tensor], points: Tensor, of: Tensor) -> None:
    leaf = points.clone().requires_grad_()
    loss(leaf, of).backward()


def losses() -> Iterator[Line]:
    """Of each pair, both over the same rows with the same settings."""
    from pytorch_metric_learning import distances, losses, miners

    from trainables.contracts import LabelledEmbeddings
    from trainables.losses.contrastive import ContrastiveLoss
    from trainables.losses.infonce import InfonceLoss
    from trainables.losses.triplet import TripletLoss

    plain = distances.LpDistance(normalize_embeddings=False)
    triplets = losses.TripletMarginLoss(0.2, distance=plain)
    semi_hard = miners.TripletMarginMiner(0.2, "semihard", distance=plain)
    pairs = losses.ContrastiveLoss(0.0, 1.0, distance=plain)

    def mined(points: Tensor, labels: Tensor) -> Tensor:
        found: Tensor = triplets(points, labels, semi_hard(points, labels))
        return found

    cases: list[tuple[str, Any, Any]] = [
        ("triplet all", TripletLoss(margin=0.2), triplets),
        ("triplet semi-hard", TripletLoss(margin=0.2, mining="semi_hard"), mined),
        ("infonce others", InfonceLoss(contrast="others"), losses.SupConLoss(0.1)),
        ("contrastive", ContrastiveLoss(positive_margin=0.0, negative_margin=1.0), pairs),
    ]
    for name, ours, other in cases:
        for count in SIZES:
            points, labels = rows(count)
            compare = partial(_compared, ours, LabelledEmbeddings)
            calls = (partial(_with_gradient, loss, points, labels) for loss in (compare, other))
            yield Line(f"{name}, n = {count}", *_in_turn(*calls))


def _compared(loss: Any, labelled: Any, points: Tensor, labels: Tensor) -> Tensor:
    # As of a training step, whose rows lie class by class.
    found: Tensor = loss.compare(labelled(points, labels, class_size=EACH))
    return found


def metrics() -> Iterator[Line]:
    """With faiss's exact index, as the library comes."""
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator

    from trainables.retrieval import retrieval

    names = ("mean_average_precision_at_r", "r_precision", "precision_at_1")
    calculator = AccuracyCalculator(names, device=torch.device("cpu"))
    for count in (1024, 4096, 16384, 65536):
        points, labels = rows(count)
        yield Line(
            f"retrieval, n = {count}",
            measured(partial(retrieval, points, labels)),
            # Its time grows with the square of n, and reaches half an hour.
            measured(partial(calculator.get_accuracy, points, labels)) if count < 65536 else None,
        )


def bounds() -> Iterator[Line]:
    """Beside a product of every tile that is looked at, and nothing else."""
    from trainables.margin import margin

    for count in (10_000, 60_000):
        points, _ = rows(count)
        labels = torch.arange(count) % 10
        doubles = points.double()
        calls = partial(margin, points, labels), partial(_products, doubles)
        yield Line(f"margin, n = {count}", *_in_turn(*calls))


def _products(points: Tensor) -> None:
    from trainables.tally import tiles

    for rows, columns in tiles(len(points), 1):
        torch.mm(points[rows], points[columns].T)


def packs() -> Iterator[Line]:
    """Members of one shape with other learning rates and margins; on a GPU where there is one."""
    from trainables.pack import Pack

    is_gpu = torch.cuda.is_available()
    device = torch.device("cuda", 0) if is_gpu else torch.device("cpu")
    # CUDA does not survive a fork.
    measure = _measure if is_gpu else measured
    for count in (1, 2, 4, 8, 16, 32, 64, 128, 256):
        alone, together = _members(count, device), Pack(_members(count, device))
        yield Line(
            f"epoch of {count} members",
            measure(together.train_epoch),
            measure(lambda alone=alone: [member.train_epoch() for member in alone]),
        )


def _members(count: int, device: torch.device) -> list[Any]:
    import numpy as np

    from trainables.configuration import Configuration
    from trainables.data import digits
    from trainables.member import Member

    points = digits()
    configurations = [
        Configuration.from_nested(
            {
                "encoder": {"mlp": {"width": 32, "hidden": 128, "depth": 1, "dropout": 0.0}},
                "aggregator": {"mean": {}},
                "loss": {"triplet": {"level": "groups", "margin": 0.1 + 0.2 * share}},
                "training": {
                    "classes_per_batch": 10,
                    "group_size": 4,
                    "learning_rate": 1e-3 * (1 + share),
                },
            }
        )
        for share in (place / count for place in range(count))
    ]
    return [
        Member(configuration, points, np.arange(1000), seed, True, device)
        for seed, configuration in enumerate(configurations)
    ]


PARTS = {"losses": losses, "metrics": metrics, "bounds": bounds, "packs": packs}


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(list(PARTS)))
def command(parts: tuple[str, ...]) -> None:
    """Compare kernels side by side; all parts by default."""
    torch.set_num_threads(1)
    for part in parts or PARTS:
        head = f"{part:<28}{'ours ms':>10}{'MiB':>8}{'theirs ms':>11}{'MiB':>8}{'ratio':>8}"
        click.echo(head)
        for name, ours, other in PARTS[part]():
            cells = f"{1e3 * ours.seconds:>10.2f}{ours.memory / MIB:>8.0f}"
            if other is None:
                click.echo(f"{name:<28}{cells}{'too much':>11}")
                continue
            cells += f"{1e3 * other.seconds:>11.2f}{other.memory / MIB:>8.0f}"
            click.echo(f"{name:<28}{cells}{other.seconds / ours.seconds:>8.2f}")


if __name__ == "__main__":
    command()
