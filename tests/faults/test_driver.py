"""Faults of the driver: killed, interrupted, and launched again until the study is whole."""

import json
import random
import time
from collections.abc import Iterator
from signal import SIGINT, SIGKILL, SIGTERM

import optuna
import pytest

from tests.faults.level import every
from tests.faults.studies import ended as ended_launch
from tests.faults.studies import until
from tests.study import postgres

pytestmark = pytest.mark.ray
CHANCE = 20230601
TRIALS, SEEDS, COMBINATIONS = 24, 4, 2
LONG = {
    "budget": {"trials_per_combination": TRIALS // COMBINATIONS},
    "protocol": {"confirmation": {"top": 1, "seeds": SEEDS}},
}
EPOCHS = 40


@pytest.fixture(scope="module")
def server():
    with postgres.serving() as server:
        yield server


def check_whole(
    of, row, trials: int = TRIALS, seeds: int = SEEDS, combinations: int = COMBINATIONS
) -> None:
    assert row.is_sound, row
    # Every confirmation has its untrained twin, every combination an ensemble; and the raw points.
    assert row.planned == trials + combinations * (2 * seeds + 1) + 1
    assert row.failed == ()
    for asked in proposed(of):
        points = {str(sorted(trial.params.items())) for trial in asked}
        assert len(points) == len(asked) == trials // combinations


def proposed(of) -> list[list[optuna.trial.FrozenTrial]]:
    """Optuna's trials of each combination: a lost driver must not make one propose twice."""
    from study.record import Record
    from study.storage import open_storage

    storage = open_storage(Record(of.folder))
    names = optuna.get_all_study_names(storage)
    return [optuna.load_study(study_name=n, storage=storage).get_trials() for n in names]


def left_running(of) -> int:
    from study.record import Record
    from tests.faults.tracked import tracked

    known = tracked(Record(of.folder))
    return sum(run.status == "RUNNING" for runs in known.values() for run in runs)


def more_results(of, chance: random.Random) -> int:
    """A number of results that is reached soon, but not at once: so a launch gets anywhere."""
    return of.results + chance.randint(1, 2)


def kill_in_search(of, kills: int) -> Iterator[int]:
    """Kills the driver at random numbers of results, and gives the exit codes."""
    chance = random.Random(CHANCE)
    for _ in range(kills):
        wanted = more_results(of, chance)
        yield of.launch_until(lambda wanted=wanted: of.results >= wanted, SIGKILL).returncode


def kill_in_confirmation(of, kills: int) -> Iterator[int]:
    """The same, once so many more confirmations are published."""
    for _ in range(kills):
        wanted = of.confirmed + 1
        yield of.launch_until(lambda wanted=wanted: of.confirmed >= wanted, SIGKILL).returncode


def test_a_driver_that_is_killed_loses_nothing(study, stock):
    training = {"epochs": 6, "classes_per_batch": 10, "group_size": 2}
    of = study(budget={"trials_per_combination": 6}, search=searched(training, mean={}))
    assert list(kill_in_search(of, 1)) == [-SIGKILL]
    ended = of.launch()
    assert ended.returncode == 0, ended.stderr
    check_whole(of, stock(of, "driver: SIGKILL", 1), trials=6, seeds=1, combinations=1)


@every
def test_a_driver_killed_in_search_and_confirmation_loses_nothing(study, stock):
    of = study(**LONG)
    codes = [*kill_in_search(of, 7), *kill_in_confirmation(of, 2)]
    assert codes == [-SIGKILL] * 9
    assert of.confirmed < SEEDS * COMBINATIONS
    ended = of.launch()
    assert ended.returncode == 0, ended.stderr
    check_whole(of, stock(of, "driver: SIGKILL", len(codes)))


@every
def test_a_driver_killed_beside_postgres_loses_nothing(study, stock, server):
    of = study(**LONG, storage={"database": server.database()})
    codes = [*kill_in_search(of, 8), *kill_in_confirmation(of, 2)]
    assert codes == [-SIGKILL] * 10
    assert of.confirmed < SEEDS * COMBINATIONS
    ended = of.launch()
    assert ended.returncode == 0, ended.stderr
    check_whole(of, stock(of, "driver: SIGKILL", len(codes)))


@every
@pytest.mark.parametrize("number", [SIGINT, SIGTERM])
def test_a_driver_that_is_stopped_lets_its_trials_save_themselves(study, stock, number):
    training = {"epochs": EPOCHS, "classes_per_batch": 10, "group_size": 2}
    of = study(budget={"trials_per_combination": 4}, search=searched(training, mean={}, max={}))
    stopped = of.launch_until(lambda: len(reporting(of)) == 4, number)
    moment = time.time()
    assert stopped.returncode == 130, stopped.stderr
    assert "save their state" in stopped.stderr
    assert f"-m study launch {of.file} --root" in stopped.stderr
    assert "continues" in stopped.stderr
    assert left_running(of) == 0
    assert len(list(of.folder.glob("trials/*/attempt-1/checkpoint.pt"))) == 4
    assert of.results == 0
    ended = of.launch()
    assert ended.returncode == 0, ended.stderr
    results = [json.loads(path.read_text()) for path in of.folder.glob("trials/*/result.json")]
    resumed = [result["outcome"]["history"] for result in results if result["attempt"] == 2]
    assert len(resumed) == 4
    for history in resumed:
        assert [entry["epoch"] for entry in history] == list(range(1, 1 + len(history)))
        assert history[0]["time"] < moment < history[-1]["time"]
    assert stock(of, f"driver: {number.name}, while trials run", 1).is_sound


@every
def test_a_driver_that_is_stopped_twice_waits_for_no_trial(study, stock):
    hanging = {"faulty": {"fault": "hang", "chance": 0.0}}
    budget = {"trials_per_combination": 4, "retries": 1}
    training = {"epochs": 1, "classes_per_batch": 10, "group_size": 2}
    of = study(budget=budget, search=searched(training, **hanging))
    with of.launching() as process:
        until(process, lambda: of.begun >= 2)
        process.send_signal(SIGINT)
        time.sleep(5)
        assert process.poll() is None
        process.send_signal(SIGINT)
        stopped = ended_launch(process, patience=60)
    assert stopped.returncode == 130, stopped.stderr
    limited = study(budget={**budget, "trial_minutes": 0.05}, search=searched(training, **hanging))
    assert limited.launch().returncode == 1
    row = stock(limited, "driver: SIGINT twice, while trials hang", 1)
    assert row.is_sound, row
    assert {*row.failed} == {"time limit: an attempt may train for 0.05 minutes"}


def searched(training, **aggregators):
    return {
        "encoder": {"mlp": {"width": 16, "hidden": 32, "dropout": 0.0}},
        "aggregator": aggregators,
        "loss": {"triplet": {}},
        "training": training,
    }


def reporting(of) -> set[int]:
    """Optuna's numbers of the trials that have reported a validation."""
    path = of.folder / "optuna.journal"
    # Its last line may be being written.
    whole = path.read_text().rpartition("\n")[0] if path.exists() else ""
    return {json.loads(line)["trial_id"] for line in whole.splitlines() if '"op_code":7' in line}
