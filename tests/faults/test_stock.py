"""The accounting sees every kind of damage, and none where there is none."""

import json
import shutil
import sqlite3
from dataclasses import asdict, replace

import optuna
import pytest

from tests.faults import table
from tests.faults.stock import STATES, take_stock
from tests.study.finished_studies import TESTED, TRIALS, copy

VICTIM = "mlp+mean+triplet-0001"
ENDS = '"op_code":6'
"""In the line of a journal that tells how a trial ended."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Folder of a whole study, with an Optuna storage and a database of MLflow's beside it."""
    from study.sync import sync

    record = copy(tmp_path_factory.mktemp("whole"))
    storage = optuna.storages.JournalStorage(
        optuna.storages.journal.JournalFileBackend(str(record.folder / "optuna.journal"))
    )
    for label in record.manifest["combinations"]:
        proposed = optuna.create_study(storage=storage, study_name=label, direction="maximize")
        for result in (r for r in record.results() if r.trial.combination == label):
            if result.trial.phase == "search":
                tell(record, proposed, result)
    sync(record, None)
    return record.folder.parent


@pytest.fixture
def record(whole, tmp_path):
    """Its record, to be damaged."""
    from study.record import Record

    shutil.copytree(whole, tmp_path / "root")
    return Record(tmp_path / "root" / "tiny")


def tell(record, proposed, result) -> None:
    state = next(state for state, told in STATES.items() if told == result.outcome.state)
    quality = result.outcome.metrics[f"val/{record.config.protocol.quality_name}"]
    values = [quality] if state is optuna.trial.TrialState.COMPLETE else None
    proposed.tell(proposed.ask(), values, state)


def execute(record, command: str) -> None:
    """Changes MLflow's database behind its back."""
    with sqlite3.connect(record.folder.parent / "mlflow.db") as connection:
        assert connection.execute(command).rowcount > 0
    connection.close()


def lines(journal) -> list[str]:
    return journal.read_text().splitlines(keepends=True)


def of_victim(record) -> str:
    return f"SELECT run_uuid FROM runs WHERE name = '{VICTIM}'"


def test_a_sound_study_has_nothing_wrong(record):
    row = take_stock(record, "none", 0)
    assert row.is_sound
    assert (row.planned, row.complete, row.pruned) == (TRIALS + TESTED, 2 + TESTED, 2)
    assert (row.fault, row.storage, row.injected, row.failed) == ("none", "journal", 0, ())


def told(record):
    """What the row of a damaged study tells of the damage."""
    row = take_stock(record, "none", 0)
    assert not row.is_sound
    names = ("lost", "left_running", "run_twice", "metrics_missing", "disagreements")
    return {name: value for name in names if (value := getattr(row, name))}


def test_a_result_that_is_gone_is_a_lost_trial(record):
    (record.trials_folder / f"{VICTIM}-confirm-1" / "result.json").unlink()
    row = take_stock(record, "none", 0)
    assert row.lost == 1
    assert row.disagreements == (f"{VICTIM}-confirm-1: without a result, but in MLflow",)


def test_an_attempt_after_the_one_that_counts_is_seen(record):
    (record.trials_folder / VICTIM / "attempt-2").mkdir()
    assert told(record) == {"run_twice": 1}


def test_a_trial_that_was_given_up_must_not_have_ended(record):
    path = record.trials_folder / VICTIM / "result.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "attempt": 0}))
    assert told(record) == {"run_twice": 1}


def test_a_trial_told_twice_is_seen(record):
    journal = record.folder / "optuna.journal"
    line = next(line for line in lines(journal) if ENDS in line)
    with journal.open("a") as file:
        file.write(line.replace('"worker_id":"', '"worker_id":"another-'))
    assert told(record) == {"run_twice": 1}


def test_a_run_without_an_end_is_seen(record):
    execute(record, "UPDATE runs SET status = 'RUNNING' WHERE name = 'tiny'")
    assert told(record) == {"left_running": 1}


@pytest.mark.parametrize("metric", ["train/loss", "bound/covered"])
def test_every_value_that_mlflow_lacks_is_seen(record, metric):
    execute(
        record,
        f"DELETE FROM metrics WHERE key = '{metric}' AND run_uuid IN ({of_victim(record)}) "
        "AND step = 2",
    )
    assert told(record) == {"metrics_missing": 1}


def test_a_changed_value_is_missing_and_strange(record):
    execute(
        record,
        "UPDATE metrics SET value = value + 1e-9 WHERE key = 'train/loss' "
        f"AND run_uuid IN ({of_victim(record)}) AND step = 1",
    )
    strange = f"{VICTIM}: values in MLflow that the record does not have"
    assert told(record) == {"metrics_missing": 1, "disagreements": (strange,)}


def test_a_run_of_another_state_is_seen(record):
    execute(record, f"UPDATE runs SET status = 'FAILED' WHERE name = '{VICTIM}'")
    state = f"{VICTIM}: complete in the record, complete and FAILED in MLflow"
    assert told(record) == {"disagreements": (state,)}


def test_a_second_run_of_a_trial_is_seen(record):
    execute(record, f"UPDATE tags SET value = '{VICTIM}' WHERE value = 'mlp+mean+triplet-0000'")
    row = take_stock(record, "none", 0)
    assert f"{VICTIM}: 2 runs in MLflow" in row.disagreements
    assert "mlp+mean+triplet-0000: 0 runs in MLflow" in row.disagreements
    assert row.metrics_missing > 0


def test_a_state_that_optuna_was_not_told_is_seen(record):
    journal = record.folder / "optuna.journal"
    last = [line for line in lines(journal) if ENDS in line][-1]
    journal.write_text("".join(line for line in lines(journal) if line != last))
    state = "mlp+attention+triplet-0001: complete in the record, unfinished in Optuna"
    assert told(record) == {"disagreements": (state,)}


def test_the_row_of_all_faults_is_their_sum(record):
    row = replace(take_stock(record, "a fault", 3), failed=("a reason",), seconds=4.4)
    shown = table.lines([asdict(row), asdict(replace(row, fault="another"))])
    assert [" ".join(line.split()) for line in shown[1:]] == [
        "a fault journal 3 11 9 2 1 -1 0 0 0 0 4",
        "another journal 3 11 9 2 1 -1 0 0 0 0 4",
        "all 6 22 18 4 2 -2 0 0 0 0 8",
        "failed x2: a reason",
    ]
    assert len({len(line) for line in shown[:4]}) == 1
