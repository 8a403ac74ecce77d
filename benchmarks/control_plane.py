"""What a trial costs the driver when training costs nothing: 100, 1,000 and 10,000 trials.

    python benchmarks/control_plane.py [100 1000 10000] [--rounds 5] [--sampler tpe]
        [--pruner none] [--epochs 1] [--two]

Conductor, Optuna's journal and the study's record are the real ones; in place of Ray and a pack's
process, outcomes are written as that leaves them, which is not counted. Each trial is validated in
every epoch, and none is so bad as to be pruned. Printed are milliseconds of
the driver for a trial, over all and over the last tenth, by how much memory grew, and how long the
next driver takes to read all of it and go on. Machines are noisy: each round runs all numbers of
trials in turn, below a thousand as often as makes a thousand, and medians are printed, of memory
the most.
"""

import resource
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import click

from study.check import prepare
from study.conductor import Conductor
from study.manifest import manifest
from study.proposals import Proposals
from study.record import Record, Trial
from study.storage import open_storage
from trainables.attempt import Attempt, Outcome

STUDY = """
name: control
data: {source: digits, split: points, folds: 1}
search:
  encoder: {linear: {width: 16}}
  aggregator: {mean: {}}
  loss: {triplet: {margin: {low: 0.05, high: 0.5, log: true}}}
  training: {learning_rate: {low: 1e-4, high: 1e-2, log: true}}
budget: {trials_per_combination: TRIALS, pack: 8}
algorithm: {sampler: SAMPLER, pruner: PRUNER}
protocol: {sizes: [2], size: 2, objectives: [OBJECTIVES], confirmation: {top: 0}}
"""
QUALITY, GAP = "val/map_at_r.size2", "bound/t4_relative_gap.size2"
MIB = 1 << 20


class Search(NamedTuple):
    """How the study searches, and how often a trial is validated."""

    sampler: str
    pruner: str
    objectives: str
    epochs: int


@click.command()
@click.argument("counts", nargs=-1, type=int)
@click.option("--sampler", default="tpe", show_default=True)
@click.option("--pruner", default="none", show_default=True)
@click.option("--epochs", default=1, show_default=True, help="Validations of a trial.")
@click.option("--two", is_flag=True, help="Search for two objectives.")
@click.option("--rounds", default=1, show_default=True)
def command(
    counts: tuple[int, ...], sampler: str, pruner: str, epochs: int, two: bool, rounds: int
) -> None:
    """Measure the driver's own cost of a trial."""
    objectives = "quality, relative_gap" if two else "quality"
    search = Search(sampler, pruner, objectives, epochs)
    found: dict[int, list[Measured]] = {count: [] for count in counts or (100, 1000, 10_000)}
    # All are removed at the end: for half a minute Linux looks for new files past those it lost.
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            for count, of_count in found.items():
                for _ in range(max(1, 1000 // count)):
                    own = Path(folder) / f"{count}-{len(of_count)}"
                    own.mkdir()
                    of_count.append(_measured(own, count, search))
    click.echo(f"{'trials':>7}{'ms a trial':>12}{'at the end':>12}{'MiB more':>10}{'resume s':>10}")
    for count, of_count in found.items():
        each, last, grown, resumed = zip(*of_count, strict=True)
        click.echo(
            f"{count:>7}{median(each):>12.1f}{median(last):>12.1f}"
            f"{max(grown):>10.0f}{median(resumed):>10.1f}"
        )


class Measured(NamedTuple):
    """What a study cost: milliseconds a trial, the same at its end, MiB, and seconds to resume."""

    each: float
    last: float
    grown: float
    resumed: float


def _measured(folder: Path, count: int, search: Search) -> Measured:
    file = folder / "control.yaml"
    text = STUDY.replace("TRIALS", str(count)).replace("SAMPLER", search.sampler)
    file.write_text(text.replace("PRUNER", search.pruner).replace("OBJECTIVES", search.objectives))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    seconds = _run(*_driver(file), search.epochs, pieces=10)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    began = time.perf_counter()
    conductor, record = _driver(file)
    assert not conductor.next_pack("once more")
    resumed = time.perf_counter() - began
    assert len(record.results()) >= count
    last = 1e3 * seconds[-1] / (count / 10)
    return Measured(1e3 * sum(seconds) / count, last, grown / MIB, resumed)


def _driver(file: Path) -> tuple[Conductor, Record]:
    """What a launch makes before Tune starts."""
    study = prepare(file, file.parent)
    record = Record.create(file.parent / "control", manifest(study))
    storage = open_storage(record)
    proposals = [Proposals(record, part, storage) for part in study.combinations]
    unfinished = [trial for proposal in proposals for trial in proposal.resume()]
    conductor = Conductor(
        record,
        proposals,
        unfinished=unfinished,
        observer=lambda result: None,
        concurrent=2,
    )
    return conductor, record


def _run(conductor: Conductor, record: Record, epochs: int, pieces: int) -> list[float]:
    """Seconds of the driver in each of so many equal parts of the study."""
    total, done = record.config.budget.trials_per_combination, 0
    seconds = [0.0] * pieces
    while not conductor.is_finished:
        pack, began = f"pack-{done}", time.perf_counter()
        with conductor.called_by_tune():
            trials = conductor.next_pack(pack)
        spent = time.perf_counter() - began
        for trial in trials:
            _leave(record, trial)
        began = time.perf_counter()
        for epoch in range(1, epochs):
            with conductor.called_by_tune():
                conductor.report(pack, {trial.key: _said(epoch, False) for trial in trials}, 1.0)
        for trial in trials:
            with conductor.called_by_tune():
                conductor.report(pack, {trial.key: _said(epochs, True)}, 1.0)
            with conductor.called_by_tune():
                conductor.settle()
        if trials:
            with conductor.called_by_tune():
                conductor.end(pack)
        piece = min(pieces - 1, done * pieces // total)
        seconds[piece] += spent + time.perf_counter() - began
        done += len(trials)
    return seconds


def _said(epoch: int, is_finished: bool) -> dict[str, float]:
    """What a pack reports of a trial."""
    return {"epoch": epoch, "quality": 0.5, "is_finished": is_finished, "lacks_memory": 0}


def _leave(record: Record, trial: Trial) -> None:
    """What the process of a pack leaves of a finished trial; some are better than others."""
    options: Any = trial.configuration["loss"]["triplet"]
    margin = options["margin"]
    found = {QUALITY: 1.0 - abs(margin - 0.2), GAP: abs(margin - 0.3)}
    Attempt.claim(record.trials_folder / trial.key).finish(
        Outcome("complete", "", found, [], [], 1.0, 2.0)
    )


if __name__ == "__main__":
    sys.exit(command())
