"""Tiny real studies, trained without a cluster: what the tests of tracking project."""

import atexit
import json
import shutil
import tempfile
from functools import cache
from pathlib import Path
from uuid import uuid4

import optuna

TRIALS, COMBINATIONS = 4, 2
TESTED = 3 * COMBINATIONS + 1
"""Confirmation, ensemble and untrained twin of each combination, and the raw points."""
STUDY = """
name: tiny
seed: 1
data: {source: digits, split: points, folds: 2}
search:
  encoder: {mlp: {width: 16, hidden: 32}}
  aggregator: {mean: {}, attention: {}}
  loss: {triplet: {}}
  training:
    {epochs: 2, classes_per_batch: 4, groups_per_class: 2, group_size: 2, learning_rate: 0.003}
budget: {trials_per_combination: 2}
protocol: {sizes: [1, 3], draws: 1, confirmation: {top: 1, seeds: 1}}
"""


def copy(root: Path, uri: str | None = None, phase: str | None = None):
    """The record of a whole study, or of one of its phases, in a folder of its own.

    The first trial of each combination is pruned after one of two epochs.
    """
    from study.record import Record

    folder = root / "tiny"
    tested = ("*-confirm-*", "*-ensemble", "*-untrained-*", "*+untrained")
    skipped = {"search": tested, "nothing": ("*+*",)}.get(phase or "", ())
    shutil.copytree(_whole(), folder, ignore=shutil.ignore_patterns(*skipped))
    manifest = json.loads((folder / "study.json").read_text())
    manifest["config"]["tracking"]["uri"] = uri
    manifest["identity"] = uuid4().hex
    (folder / "study.json").write_text(json.dumps(manifest))
    shutil.copyfile(_empty_database(), root / "mlflow.db")
    return Record(folder)


def results(record):
    """Published results of the whole study that a record lacks, in the order of their keys."""
    from study.record import Record

    return [r for r in Record(_whole()).results() if record.result(r.trial.key) is None]


def publish(record, result):
    """Adds a result, with the files of its attempt, to a record."""
    key = result.trial.key
    shutil.copytree(_whole() / "trials" / key, record.trials_folder / key)
    return record.result(key)


@cache
def _empty_database() -> Path:
    """MLflow needs seconds to make its tables, and every test wants them for itself."""
    from mlflow import MlflowClient

    database = Path(tempfile.mkdtemp()) / "mlflow.db"
    atexit.register(shutil.rmtree, database.parent, ignore_errors=True)
    MlflowClient(f"sqlite:///{database}").search_experiments()
    return database


@cache
def _whole() -> Path:
    import torch

    from study.check import prepare
    from study.manifest import manifest
    from study.record import Record

    # One thread, as a pack has: more of them wait for each other on a busy machine.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    root = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    (root / "tiny.yaml").write_text(STUDY)
    study = prepare(root / "tiny.yaml", root)
    record = Record.create(root / "tiny", manifest(study))
    for combination in study.combinations:
        for number in range(2):
            _run(study, record, _trial(combination, number), prune=number == 0)
    for trial in _tested(study, record):
        _run(study, record, trial)
    torch.set_num_threads(threads)
    return record.folder


def _trial(combination, number: int):
    from study.record import Trial

    lowest = {
        name: space.low if hasattr(space, "low") else space.choices[0]
        for name, space in combination.distributions().items()
    }
    return Trial(
        key=f"{combination.label}-{number:04d}",
        phase="search",
        combination=combination.label,
        number=number,
        seeds=(number, 100 + number),
        configuration=combination.propose(optuna.trial.FixedTrial(lowest, number)).nested(),
        proposed_by="random",
    )


def _tested(study, record):
    from study import confirmation

    labels = [combination.label for combination in study.combinations]
    return confirmation.plan_all(study.config, labels, record.results())


def _run(study, record, trial, prune: bool = False) -> None:
    """Trains one trial and publishes it, as worker and driver would."""
    from trainables.recorded import RecordedTrial

    record.plan(trial)
    recorded = RecordedTrial(trial.task(), study.data, study.rules, record.trials_folder)
    while recorded.outcome is None:
        recorded.step("pruned after epoch 1" if prune and recorded.epochs else None)
    record.publish_finished(trial)
