"""Launches a study, or continues it: search and confirmation on a Ray cluster, and the report."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from study import cluster, cluster_nodes, database
from study.check import Study
from study.conductor import Conductor
from study.errors import RecordError
from study.gpu_share import with_measured_share
from study.interruption import Interruption
from study.lease import Lease
from study.manifest import changes, manifest
from study.overruns import Overruns
from study.progress import Progress, Tally, Terminal
from study.projection import is_whole
from study.proposals import Proposals
from study.record import Record, Result, Trial
from study.storage import open_storage
from study.tracking import Tracker
from study.tuning import Engine
from trainables.places import Place


def launch(
    study: Study, root: Place, address: str | None = None, console: Console | None = None
) -> Record:
    """Runs what a study lacks: all of it when it is new, nothing when it is finished.

    From a notebook or a script: ``launch(prepare(file, root), root)``.

    Args:
        study: checked by ``check.prepare``.
        root: the folder of all studies.
        address: of a Ray cluster; None starts one on this machine.
        console: where progress is shown; by default the standard error.

    Raises:
        RecordError: if the folder belongs to a different study, or another driver works on it.
        StorageError: if the study's database does not answer, or not any more.
        ConfigError: if the cluster does not answer, is open, or lacks what a pack or a node needs.
        KeyboardInterrupt: if a signal stopped it; launching again continues.
    """
    if address:
        cluster.admitted(address)  # before anything is written
    database.knock(study.config.storage.database)
    folder, wanted = root / study.config.name, manifest(study)
    record = open_record(folder, wanted)
    with (
        Interruption(console or Terminal()) as interruption,
        database.answering(record.config.storage.database),
        Lease(record) as lease,
    ):
        # Once more: until now another driver may have extended it.
        record = open_record(folder, wanted).extend(wanted)
        record.guard = lease.require
        storage = open_storage(record)
        proposals = [Proposals(record, part, storage) for part in study.combinations]
        # This publishes what a lost driver had finished, for all below to count.
        unfinished = [trial for proposal in proposals for trial in proposal.resume()]
        # The tracker first: it gets ready while the cluster starts.
        with Tracker(record) as tracker:
            if is_whole(record, record.results()):
                _report(record)
            else:
                with cluster.connected(address):
                    interruption.listen()
                    cluster_nodes.refuse_unless_ready(record.folder)
                    cluster_nodes.refuse_unless_mapped(study.data.points)
                    _run(study, record, proposals, unfinished, tracker, interruption)
                    _report(record)
                    # It catches up while the cluster shuts down.
                    tracker.end()
    return record


def _report(record: Record) -> None:
    # What draws takes seconds to import, for which no trial should wait.
    from study import report

    report.write(record)


def open_record(folder: Place, wanted: Mapping[str, Any]) -> Record:
    """The record of a study: new, or the one its folder holds, where it may be continued.

    Args:
        folder: of the study.
        wanted: its manifest.

    Raises:
        RecordError: if the folder holds a study that this one does not continue.
    """
    record = Record.create(folder, wanted)
    problems = changes(record.manifest, wanted)
    if problems:
        raise RecordError(folder, problems)
    return record


def _run(
    study: Study,
    record: Record,
    proposals: list[Proposals],
    unfinished: list[Trial],
    tracker: Tracker,
    interruption: Interruption,
) -> None:
    cluster.concurrent_packs(study.config.budget)  # before a GPU is asked for
    study = with_measured_share(study, interruption.console)
    budget = study.config.budget
    concurrent = cluster.concurrent_packs(budget)
    tally = Tally(study.planned_trials, study.config.protocol.quality_name)
    for result in record.results():
        tally.add(result)

    def observe(result: Result) -> None:
        tally.add(result)
        tracker.notify(result)

    conductor = Conductor(
        record,
        proposals,
        unfinished=unfinished,
        observer=observe,
        concurrent=concurrent,
    )
    overruns, console = Overruns(budget), interruption.console
    with Progress(tally, console) as progress:

        def on_step() -> None:
            tally.running = conductor.running
            progress.show()
            overruns.stop(conductor, tally, console)

        shared = {"folder": str(record.trials_folder.absolute())}
        interruption.conductor = conductor
        Engine(study, conductor, shared, concurrent, on_step).run()
        interruption.conductor = None
    if conductor.error:
        raise conductor.error
