"""A study whose trials and lease are in PostgreSQL: killed, cut off, and launched to its end."""

import signal
import time
from collections import Counter
from pathlib import Path

import optuna
import pytest
from mlflow import MlflowClient

from study.record import Record
from study.storage import open_storage, study_name
from tests.faults.level import every
from tests.study import launches, postgres
from tests.study.launches import STUDY, published, run, started, stop_after, write_study

pytestmark = pytest.mark.ray
COMBINATIONS = ["mlp+max+triplet", "mlp+mean+triplet"]
STATES = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}


@pytest.fixture(scope="module")
def server():
    with postgres.serving() as server:
        yield server


def cut_off_after(file: Path, results: int, server: postgres.Server):
    """Launches a study and stops its database once so many results are published."""
    with started(file) as process:
        until = time.monotonic() + launches.PATIENCE_SECONDS
        while len(published(file)) < results and process.poll() is None:
            assert time.monotonic() < until, "the study made no progress"
            time.sleep(0.01)
        server.stop()
        try:
            _, errors = process.communicate(timeout=launches.PATIENCE_SECONDS)
        finally:
            server.start()
    return process.returncode, errors


def in_optuna(record: Record) -> dict[str, str]:
    storage = open_storage(record)
    names = [study_name(record, label) for label in COMBINATIONS]
    assert sorted(optuna.get_all_study_names(storage)) == names
    return {
        f"{label}-{trial.number:04d}": STATES[trial.state.name]
        for label, name in zip(COMBINATIONS, names, strict=True)
        for trial in optuna.load_study(study_name=name, storage=storage).get_trials()
    }


def in_mlflow(record: Record) -> dict[str, str]:
    client = MlflowClient(f"sqlite:///{record.folder.parent / 'mlflow.db'}")
    experiments = [found.experiment_id for found in client.search_experiments()]
    tags = [run.data.tags for run in client.search_runs(experiments)]
    assert {tag["study.id"] for tag in tags} == {record.identity}
    return {tag["study.key"]: tag["state"] for tag in tags if "state" in tag}


@every
def test_a_study_in_postgres_survives_its_driver_and_its_database(tmp_path, server):
    address = server.database()
    text = STUDY.replace("trials_per_combination: 8", "trials_per_combination: 4")
    file = write_study(tmp_path, f"{text}storage: {{database: {address!r}}}\n")
    assert stop_after(file, 2, signal.SIGKILL).returncode == -signal.SIGKILL
    before = len(published(file))
    code, errors = cut_off_after(file, before + 2, server)
    assert code == 2, errors
    told = errors.splitlines()[-1]
    assert told.startswith(f"{address.replace('study@', '')}: the study's database failed: ")
    assert f"launch {file}" in told
    assert "Traceback" not in errors
    ended = run(file)
    assert ended.returncode == 0, ended.stderr
    record = Record(file.parent / "studies" / "small")
    results = {result.trial.key: result for result in record.results()}
    states = {key: result.outcome.state for key, result in results.items()}
    assert Counter(result.trial.phase for result in results.values()) == {
        "search": 8,
        "confirmation": 2,
        "ensemble": 2,
        "untrained": 3,
    }
    assert in_mlflow(record) == states
    searched = {
        key: states[key] for key, result in results.items() if result.trial.phase == "search"
    }
    assert in_optuna(record) == searched
    left = {path.name for path in record.folder.iterdir()}
    assert left.isdisjoint({"optuna.journal", "lease.json"})
