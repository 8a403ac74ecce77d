"""Faults of a trial's own code: a component that raises, dies, hangs or takes too much."""

import json
import re

import psutil
import pytest

from study.record import Record
from tests.faults.level import every
from tests.faults.stock import take_stock
from tests.study.launches import published

pytestmark = pytest.mark.ray
TRIALS, TESTED = 8, 4
SEED = 6
"""With it the study draws two trials that suffer the fault, or one that suffers each of three."""
REASONS = {
    "raise": r"RuntimeError: a fault of the component",
    "nan": r"the loss became nan in epoch 1|embeddings are not finite",
    "exit": r"its process (died|ended with .*), 2 times",
    "die": r"its process died.*2 times",
    "hang": r"time limit.* 0\.5 min.*",
    "hold": r"time limit.* 0\.5 min.*|its process died.*2 times",
    "memory": r"out of memory: .*",
}
TOGETHER = ("raise", "nan", "die")
ALL = {
    "search": {
        "encoder": {"mlp": {"width": 16, "hidden": [32, 64], "dropout": 0.0}},
        "loss": {"triplet": {}},
        "training": {"epochs": 2, "classes_per_batch": 10, "group_size": 2},
    },
    "algorithm": {"startup_trials": TRIALS},
}
BUDGET = {"trials_per_combination": TRIALS, "pack": 2, "retries": 1}
ALLOWED_BYTES = 4 << 30
LIMITS = {"trial_minutes": 0.5, "memory_gib_per_pack": 2.0}
"""A healthy trial needs a second, or ten on a busy machine."""


def hit(study, *faults, **budget):
    """A study of which two trials suffer the fault, or one each of several."""
    faulty = {"fault": list(faults) if len(faults) > 1 else faults[0]}
    search = {**ALL["search"], "aggregator": {"faulty": faulty}}
    return study(seed=SEED, **{**ALL, "search": search, "budget": {**BUDGET, **LIMITS, **budget}})


def expected(of) -> dict[str, str]:
    """The fault that each trial of the search must suffer; none for a healthy one."""
    found = {}
    for path in of.folder.glob("trials/*/trial.json"):
        trial = json.loads(path.read_text())
        if trial["phase"] == "search":
            options = trial["configuration"]["aggregator"]["faulty"]
            found[path.parent.name] = options["fault"] if options["chance"] < 0.5 else "none"
    return found


def check_only_the_faulty_failed(of, ended, row) -> None:
    """Whoever was healthy is complete; whoever was not has failed, for the right reason."""
    assert ended.returncode == 1, ended.stderr
    assert row.is_sound, row
    assert row.planned == TRIALS + TESTED
    suffered = expected(of)
    outcomes = {
        path.parent.name: json.loads(path.read_text())["outcome"] for path in published(of.file)
    }
    for key, fault in suffered.items():
        state, reason = outcomes[key]["state"], outcomes[key]["reason"]
        assert (state == "failed") == (fault != "none"), (key, fault, state, reason)
        if fault != "none":
            assert re.fullmatch(REASONS[fault], reason), (fault, reason)


@every
def test_faults_of_some_trials_harm_no_other(study, stock):
    of = hit(study, *TOGETHER)
    ended = of.launch()
    assert sorted(expected(of).values()) == ["die", "nan", *["none"] * 5, "raise"]
    check_only_the_faulty_failed(of, ended, stock(of, "component: several", injected(of)))


@every
@pytest.mark.parametrize("fault", [fault for fault in REASONS if fault not in TOGETHER])
def test_a_fault_of_a_component_fails_its_own_trials_only(study, stock, fault):
    of = hit(study, fault)
    ended = of.launch()
    check_only_the_faulty_failed(of, ended, stock(of, f"component: {fault}", injected(of)))


@every
def test_a_trial_that_ray_kills_for_its_memory_ends_no_study(study, stock):
    of = hit(study, "memory", memory_gib_per_pack=None, trial_minutes=None)
    memory = psutil.virtual_memory()
    threshold = (memory.total - memory.available + ALLOWED_BYTES) / memory.total
    ended = of.launch(
        RAY_memory_usage_threshold=f"{threshold:.3f}", RAY_memory_monitor_refresh_ms="100"
    )
    row = stock(of, "component: memory, no limit", injected(of))
    assert ended.returncode == 1, ended.stderr
    assert row.is_sound, row
    assert {*row.failed} == {"its process died, 2 times"}
    failed = {key for key, state in states(of).items() if state == "failed"}
    assert failed == {key for key, fault in expected(of).items() if fault != "none"}


@every
def test_a_study_stops_after_the_failures_its_file_allows(study):
    of = hit(study, "raise", max_failed=1)
    ended = of.launch()
    assert ended.returncode == 1
    assert "budget.max_failed: 1" in ended.stderr
    row = take_stock(Record(of.folder), "max_failed", 1)
    assert 1 <= len(row.failed) <= 4
    assert row.left_running == row.run_twice == row.metrics_missing == 0


def states(of) -> dict[str, str]:
    return {
        path.parent.name: json.loads(path.read_text())["outcome"]["state"]
        for path in published(of.file)
    }


def injected(of) -> int:
    return sum(fault != "none" for fault in expected(of).values())
