"""What a trial costs the driver when training costs nothing: 100, 1,000 and 10,000 trials.

    python benchmarks/control_plane.py [100 1000 10000] [--rounds 5] [--sampler tpe]
        [--pruner none] [--epochs 1] [--two]

Conductor, Optuna's journal and the study's record are the real ones; in place of Ray and a pack's
process, outcomes are written as that leaves them, which is not counted. Each trial is validated in
every epoch, and none is so bad as to be pruned. Printed are, for each number n, milliseconds of the
driver for a trial in a study of n, from reading its file on and without what comes before the first
proposal, the same for the n-th trial of the longest study, which are those from n/2 to 3n/2, by how
much memory grew, and how long the next driver takes to read all of it and go on. Machines are
noisy: each round runs all numbers of trials in turn, below a thousand as often as makes a thousand,
and medians are printed, of memory the most.
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
    click.echo(
        f"{'n':>7}{'ms a trial':>12}{'begun':>8}{'the n-th':>10}{'MiB more':>10}{'resume s':>10}"
    )
    for count, of_count in found.items():
        begun = median(_near(study.packs, 0, count) for study in of_count)
        whole = begun + 1e3 * median(study.opened for study in of_count) / count
        nth = median(_near(study.packs, count / 2, 1.5 * count) for study in found[max(found)])
        grown = max(study.grown for study in of_count)
        resumed = median(study.resumed for study in of_count)
        click.echo(
            f"{count:>7}{whole:>12.1f}{begun:>8.1f}{nth:>10.1f}{grown:>10.0f}{resumed:>10.1f}"
        )


class Pack(NamedTuple):
    """Before it so many trials had ended, these are its own, and so long the driver took."""

    before: int
    trials: int
    seconds: float


class Measured(NamedTuple):
    """What a study cost: seconds to open it, its packs, MiB, and seconds to resume."""

    opened: float
    packs: list[Pack]
    grown: float
    resumed: float


def _near(packs: list[Pack], first: float, last: float) -> float:
    """Milliseconds of a trial among those that are numbered from the first to before the last."""
    near = [pack for pack in packs if first <= pack.before < last]
    return 1e3 * sum(pack.seconds for pack in near) / sum(pack.trials for pack in near)


def _measured(folder: Path, count: int, search: Search) -> Measured:
    file = folder / "control.yaml"
    text = STUDY.replace("TRIALS", str(count)).replace("SAMPLER", search.sampler)
    file.write_text(text.replace("PRUNER", search.pruner).replace("OBJECTIVES", search.objectives))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    began = time.perf_counter()
    driver = _driver(file)
    opened = time.perf_counter() - began
    packs = _run(*driver, search.epochs)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    began = time.perf_counter()
    conductor, record = _driver(file)
    assert not conductor.next_pack("once more")
    resumed = time.perf_counter() - began
    assert len(record.results()) >= count
    return Measured(opened, packs, grown / MIB, resumed)


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


def _run(conductor: Conductor, record: Record, epochs: int) -> list[Pack]:
    """Trains the study's trials, and measures the driver."""
    packs: list[Pack] = []
    done = 0
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
        packs.append(Pack(done, len(trials), spent + time.perf_counter() - began))
        done += len(trials)
    return packs


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
