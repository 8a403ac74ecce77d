"""The value of each loss beside the margin that it leaves, while it is trained on digits.

    python benchmarks/loss_against_margin.py

Half of scikit-learn's digits to train on, encoder mlp, embeddings of length 1, every loss on
points, two seeds. Loss and margin are those of the very same points: all training points at once,
or all points held out. The first table has means over seeds: the loss, ``m*``, ``m_99`` over all
pairs of one class, the relative gap of T4 for groups of five, and what docs/theory.md promises from
the mean loss alone, with what was measured of it:

- triplet: the mean over anchors of ``max_p d(a, p) - delta_a``, at most the loss less its margin;
- infonce: the mean of ``d(a, p)^2 - delta_a^2``, at most that of propositions 4 and 5;
- arcface: the least angle of classes among the points with up to ten times the mean loss, at least
  that of proposition 7;
- group_loss: the least distance of classes among such points, at least that of proposition 8.

The second table has rank correlations of the loss with the margins and the gap, over the epochs of
both seeds.
"""

from collections import defaultdict
from collections.abc import Iterator
from math import isnan
from statistics import fmean
from typing import Any, NamedTuple

import click
import torch
from scipy.stats import spearmanr
from torch import Generator, Tensor
from torch.nn.functional import normalize

from trainables.aggregators.mean import MeanAggregator
from trainables.configuration import Component
from trainables.contracts import LabelledEmbeddings, Loss
from trainables.distances import exact_distances
from trainables.evaluation import Protocol
from trainables.gaps import gaps
from trainables.grouping import draw_groups
from trainables.loss_values import arcface_angle, infonce_excess, softmax_separation
from trainables.margin import margin
from trainables.model import build
from trainables.sources import open_points
from trainables.splits import hold_out
from trainables.tasks import Rules, StudyData, TrialTask
from trainables.training import TrialRun

WIDTH, SEED, SHARE = 16, 20230601, 0.1
EPOCHS = (1, 2, 4, 8, 16, 32, 64)
SHOWN = ("training, 1", "training, 8", "training, 64", "held out, 64")
SETTINGS: list[tuple[str, dict[str, Any]]] = [
    ("triplet", {"mining": "hard", "average": "all", "margin": 0.2}),
    ("triplet", {"mining": "hard", "average": "all", "margin": 0.5}),
    ("infonce", {"contrast": "negatives", "temperature": 0.05}),
    ("infonce", {"contrast": "negatives", "temperature": 0.2}),
    ("infonce", {"contrast": "others", "temperature": 0.05}),
    ("infonce", {"contrast": "others", "temperature": 0.2}),
    ("arcface", {"margin": 0.5, "scale": 8.0}),
    ("arcface", {"margin": 0.5, "scale": 32.0}),
    ("group_loss", {"temperature": 1.0}),
    ("group_loss", {"temperature": 10.0}),
]
MEASURED = ("loss", "m_star", "m_99", "gap", "measured", "promised")
CORRELATED = ("m_star", "m_99", "gap")
Row = dict[str, float]


class Seen(NamedTuple):
    """Points as a loss sees them, and how they lie to each other."""

    rows: Tensor
    labels: Tensor
    apart: Tensor
    delta: Tensor

    @property
    def positive(self) -> Tensor:
        """Ordered pairs of one class."""
        same = self.labels[:, None] == self.labels
        return same & ~torch.eye(len(same), dtype=torch.bool)


@click.command()
@click.option("--only", multiple=True, help="Losses to train; all by default.")
def command(only: tuple[str, ...]) -> None:
    """Measure margins against losses on digits."""
    points = open_points("digits")
    study = StudyData(points, (), hold_out(points, "points", 0.5, SEED))
    correlations = []
    click.echo("| loss | points, epoch | " + " | ".join(MEASURED) + " |")
    click.echo("|---" * (len(MEASURED) + 2) + "|")
    for name, options in SETTINGS:
        if only and name not in only:
            continue
        found = defaultdict[str, list[Row]](list)
        for seed in (1, 2):
            for when, row in measured(name, options, seed, study):
                found[when].append(row)
        title = f"{name} " + ", ".join(map(str, options.values()))
        for when in SHOWN:
            cells = (cell(fmean(row[column] for row in found[when])) for column in MEASURED)
            click.echo(f"| {title} | {when} | " + " | ".join(cells) + " |")
        trained = [row for when in found if when != SHOWN[-1] for row in found[when]]
        ranks = (correlation(trained, column) for column in CORRELATED)
        correlations.append(f"| {title} | " + " | ".join(f"{rank:.2f}" for rank in ranks) + " |")
    click.echo("\n| loss | " + " | ".join(CORRELATED) + " |")
    click.echo("|---" * (len(CORRELATED) + 1) + "|\n" + "\n".join(correlations))


def cell(mean: float) -> str:
    """Of a table; where nothing is promised there is no number."""
    return "-" if isnan(mean) else f"{mean:.3g}"


def correlation(rows: list[Row], column: str) -> float:
    """Of the ranks of losses with those of a column."""
    return float(spearmanr([r["loss"] for r in rows], [r[column] for r in rows]).statistic)


def measured(
    name: str, options: dict[str, Any], seed: int, study: StudyData
) -> Iterator[tuple[str, Row]]:
    """Trains one configuration; tells when, and what was measured then."""
    options = options | {"level": "points"}
    configuration = {
        "encoder": {"mlp": {"width": WIDTH, "hidden": 64}},
        "aggregator": {"mean": {}},
        "loss": {name: options},
        "views": {},
        "training": {"epochs": EPOCHS[-1], "learning_rate": 3e-3, "classes_per_batch": 10},
    }
    rules = Rules(Protocol((2,), 1, SEED), "recall_at_1.size2", True, report_every=1)
    run = TrialRun(TrialTask(name, "confirmation", configuration, (seed,)), study, rules)
    loss: Loss = build("loss", Component(name, options), width=WIDTH, classes=10, latent=0)
    while run.outcome is None:
        run.advance()
        if run.epochs in EPOCHS:
            learned = run.state()["members"][0]["learning"]
            of_loss = {key: learned[key] for key in learned if key.startswith("loss.")}
            loss.load_state_dict({key.removeprefix("loss."): of_loss[key] for key in of_loss})
            yield f"training, {run.epochs}", of_points(loss, run, study, study.final.train)
    yield SHOWN[-1], of_points(loss, run, study, study.final.held_out)


@torch.no_grad()
def of_points(loss: Loss, run: TrialRun, study: StudyData, places: Any) -> Row:
    """Everything measured of some points at once."""
    labels = torch.tensor(study.points.labels[places])
    rows = normalize(run.models[0].embed_all(study.points.take(places)).double(), dim=1)
    found, apart = margin(rows, labels), exact_distances(rows, rows)
    seen = Seen(rows, labels, apart, found.delta)
    groups = draw_groups(labels, None, 5, Generator().manual_seed(SEED))
    bounds = gaps(rows[groups.members], groups.labels, MeanAggregator(WIDTH), SEED).means
    excess = apart - torch.minimum(found.delta[:, None], found.delta)
    value = loss.eval().double().compare(LabelledEmbeddings(rows, labels))
    was, promise = promised(loss, value, seen)
    return {
        "loss": value.item(),
        "m_star": found.m_star.item(),
        "m_99": excess[seen.positive].quantile(0.99).item(),
        "gap": bounds["t4_relative_gap"],
        "measured": float(was),
        "promised": float(promise),
    }


def promised(loss: Any, value: Tensor, seen: Seen) -> tuple[Tensor, Tensor]:
    """What was measured, and what the mean loss promises of it."""
    kind = type(loss).__name__
    if kind == "TripletLoss":
        furthest = (seen.apart * seen.positive).amax(1)
        return (furthest - seen.delta).mean(), value - loss.margin
    if kind == "InfonceLoss":
        return of_squares(loss, value, seen)
    each = [
        loss.compare(LabelledEmbeddings(row[None], label[None]))
        for row, label in zip(seen.rows, seen.labels, strict=True)
    ]
    if kind == "ArcfaceLoss":
        apart = 2 * (least(seen, torch.stack(each) <= value / SHARE) / 2).asin()
        return apart, arcface_angle(value / SHARE, loss.margin, loss.scale)
    weight = loss.classifier.weight
    logits = seen.rows @ weight.T + loss.classifier.bias
    surprise = torch.nn.functional.cross_entropy(logits, seen.labels, reduction="none")
    stretch = torch.cdist(weight, weight).max()
    return least(seen, surprise <= value / SHARE), softmax_separation(value / SHARE, stretch)


def of_squares(loss: Any, value: Tensor, seen: Seen) -> tuple[Tensor, Tensor]:
    """The mean of squared distances to positives less that to the nearest negative."""
    excess = seen.apart.square() - seen.delta.square()[:, None]
    if loss.contrast == "negatives":
        return excess[seen.positive].mean(), infonce_excess(value, loss.temperature)
    positives = seen.positive.sum(1)
    of_anchors = (excess * seen.positive).sum(1) / positives
    number = positives.double().log().mean()
    bound = infonce_excess(value - number, loss.temperature) + 2 * loss.temperature * number
    return of_anchors.mean(), bound


def least(seen: Seen, among: Tensor) -> Tensor:
    """The least distance of different classes among some points."""
    other = seen.labels[:, None] != seen.labels
    return seen.apart[other & among[:, None] & among].min()


if __name__ == "__main__":
    command()
