"""Launches a study, or continues it: search and confirmation on a Ray cluster."""

import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, final
from uuid import uuid4

import ray
from ray import tune
from ray.tune import Callback
from rich.console import Console

from study import cluster
from study.check import Study
from study.errors import RecordError
from study.lease import Lease
from study.manifest import changes, manifest
from study.progress import Progress, Tally
from study.proposals import Proposals, open_journal
from study.record import Record, Result, Trial
from study.search import Conductor, PackScheduler, PackSearcher
from study.tracking import Tracker
from trainables.stop_list import StopList
from trainables.trainable import PackTrainable


def launch(study: Study, root: Path, address: str | None, console: Console) -> Record:
    """Runs what a study lacks: all of it when it is new, nothing when it is finished.

    Args:
        study: checked by ``check.prepare``.
        root: the folder of all studies.
        address: of a Ray cluster; None starts one on this machine.
        console: where progress is shown.

    Raises:
        RecordError: if the folder belongs to a different study, or another driver works on it.
        ConfigError: if the cluster does not answer, or lacks what a pack asks for.
        KeyboardInterrupt: if a signal stopped it; launching again continues.
    """
    record = open_record(study, root / study.config.name)
    with Lease(record.folder):
        journal = open_journal(record.folder / "optuna.journal")
        proposals = [Proposals(study.config, part, journal) for part in study.combinations]
        # This publishes what a lost driver had finished, for all below to count.
        unfinished = [trial for proposal in proposals for trial in proposal.resume(record)]
        # The tracker first: it gets ready while the cluster starts.
        with Tracker(record) as tracker, cluster.connected(address):
            _run(study, record, proposals, unfinished, tracker, console)
            # It catches up while the cluster shuts down.
            tracker.end()
    return record


def open_record(study: Study, folder: Path) -> Record:
    """The record of a study: new, or the one its folder holds, extended where that is allowed.

    Raises:
        RecordError: if the folder holds a study that this one does not continue.
    """
    wanted = manifest(study)
    if (folder / "study.json").exists():
        known = Record(folder).manifest
        problems = changes(known, wanted)
        if problems:
            raise RecordError(folder, problems)
        wanted = {**known, "config": wanted["config"], "combinations": wanted["combinations"]}
    return Record.create(folder, wanted)


def _run(
    study: Study,
    record: Record,
    proposals: list[Proposals],
    unfinished: list[Trial],
    tracker: Tracker,
    console: Console,
) -> None:
    concurrent = cluster.concurrent_packs(study.config.budget)
    tally = Tally(study.planned_trials, study.config.protocol.quality_name)
    for result in record.results():
        tally.add(result)

    def observe(result: Result) -> None:
        tally.add(result)
        tracker.notify(result)

    name = f"stop-list-{uuid4()}"
    conductor = Conductor(
        record,
        proposals,
        unfinished=unfinished,
        stop_list=ray.remote(StopList).options(name=name, num_cpus=0).remote(),
        observer=observe,
        concurrent=concurrent,
    )
    shared = {"stop_list": name, "folder": str(record.trials_folder.absolute())}
    searcher = PackSearcher(conductor, shared, concurrent)
    with Progress(tally, console) as progress, _interruptible(conductor, console):
        _fit(study, record, conductor, searcher, _Shown(conductor, tally, progress))
    if conductor.is_interrupted:
        raise KeyboardInterrupt


def _fit(
    study: Study, record: Record, conductor: Conductor, searcher: PackSearcher, shown: Callback
) -> None:
    """One Tuner from here to the end; its own state is of no use to us and is thrown away."""
    budget = study.config.budget
    trainable = tune.with_parameters(
        PackTrainable, study=study.data, rules=study.rules, threads=budget.cpus_per_pack
    )
    resources = {"cpu": budget.cpus_per_pack, "gpu": budget.gpus_per_pack}
    tuner = tune.Tuner(
        tune.with_resources(trainable, resources),
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            scheduler=PackScheduler(conductor),
            num_samples=-1,
            reuse_actors=True,
            trial_dirname_creator=str,
        ),
        run_config=tune.RunConfig(
            name="packs",
            storage_path=str((record.folder / "tune").absolute()),
            failure_config=tune.FailureConfig(max_failures=budget.retries),
            callbacks=[shown],
            verbose=0,
        ),
    )
    try:
        tuner.fit()
    finally:
        shutil.rmtree(record.folder / "tune", ignore_errors=True)


@final
class _Shown(Callback):
    """Keeps the terminal up to date while Tune runs."""

    def __init__(self, conductor: Conductor, tally: Tally, progress: Progress) -> None:
        self._conductor, self._tally, self._progress = conductor, tally, progress

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        self._tally.running = self._conductor.running
        self._progress.show()

    def __getstate__(self) -> dict[str, Any]:
        return {}


@contextmanager
def _interruptible(conductor: Conductor, console: Console) -> Iterator[None]:
    """Ctrl-C and SIGTERM let running trials save themselves; a second signal stops at once."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        if conductor.is_interrupted:
            raise KeyboardInterrupt
        console.print("stopping: running trials save their state; press again to stop at once")
        conductor.is_interrupted = True

    before: dict[int, Any] = {
        number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
