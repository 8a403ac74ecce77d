"""Faults of the nodes of a cluster: slow to start, killed, frozen, without raylet or head."""

import time
from signal import SIGCONT, SIGKILL, SIGSTOP

import psutil
import pytest

from tests.faults.level import every
from tests.faults.processes import descendants, send, title, training
from tests.faults.studies import ended, until
from tests.study.ray_heads import heads, node

pytestmark = [pytest.mark.ray, every]
ACCESS = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "a-token-of-tests"}
# Ray's own figures let a minute pass until a node that is silent counts as lost.
WATCHFUL = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "4",
}
LONG = {
    "search": {
        "encoder": {"mlp": {"width": 16, "hidden": [32, 64], "dropout": 0.0}},
        "aggregator": {"mean": {}},
        "loss": {"triplet": {}},
        "training": {"epochs": 40, "classes_per_batch": 10, "group_size": 2},
    }
}


def raylets(head) -> list[psutil.Process]:
    """The raylet of the node that is not the head; none as long as there is none."""
    of_head = {one.pid for one in descendants(head.process.pid)}
    return [
        one
        for one in psutil.process_iter()
        if "/raylet/raylet " in title(one)
        and str(head.folder) in title(one)
        and one.pid not in of_head
    ]


def while_training(of, process, head) -> list[psutil.Process]:
    """A node that trains just now, as its processes: the raylet first."""

    def trains() -> bool:
        return any(training(raylet.pid) for raylet in raylets(head))

    until(process, trains)
    (found,) = raylets(head)
    return [found, *descendants(found.pid)]


def check_nothing_lost(launched, row) -> None:
    assert launched.returncode == 0, launched.stderr
    assert row.is_sound, row
    assert row.failed == ()


def test_a_node_too_slow_to_start_is_started_again(study, stock):
    of = study()
    with of.launching() as process:

        def started() -> list[psutil.Process]:
            return [one for one in descendants(process.pid) if "/raylet/raylet " in title(one)]

        until(process, started)
        send(started(), SIGSTOP)
        launched = ended(process)
    check_nothing_lost(launched, stock(of, "node: frozen at its start", 1))


@pytest.mark.parametrize("hit", ["all of it", "its raylet"])
def test_trials_of_a_node_that_dies_run_elsewhere(study, stock, hit):
    of = study(**LONG)
    with (
        heads({**of.environment, **ACCESS, **WATCHFUL}) as [head],
        node(head, **of.environment, **ACCESS),
        of.launching("--address", head.address, **ACCESS) as process,
    ):
        victims = while_training(of, process, head)
        send(victims if hit == "all of it" else victims[:1], SIGKILL)
        launched = ended(process)
    check_nothing_lost(launched, stock(of, f"node: SIGKILL, {hit}", 1))


def test_late_writes_of_a_frozen_node_count_for_nothing(study, stock):
    of = study(**LONG)
    with (
        heads({**of.environment, **ACCESS, **WATCHFUL}) as [head],
        node(head, **of.environment, **ACCESS),
        of.launching("--address", head.address, **ACCESS) as process,
    ):
        victims = while_training(of, process, head)
        send(victims, SIGSTOP)
        try:
            until(process, lambda: list(of.folder.glob("trials/*/attempt-2")))
            time.sleep(1)
        finally:
            send(victims, SIGCONT)
        launched = ended(process)
    check_nothing_lost(launched, stock(of, "node: frozen, and thawed", 1))


def test_a_study_outlives_the_head_of_its_cluster(study, stock):
    of = study(**LONG)
    with (
        heads({**of.environment, **ACCESS, **WATCHFUL}) as [head],
        of.launching("--address", head.address, **ACCESS) as process,
    ):
        until(process, lambda: of.results >= 2)
        send((p for p in descendants(head.process.pid) if "gcs_server" in title(p)), SIGKILL)
        stopped = ended(process)
    assert stopped.returncode not in (0, 1), stopped.stderr
    told = stopped.stderr.splitlines()[-1]
    assert "Ray" in told
    assert "continues" in told
    assert of.results < 10
    with heads({**of.environment, **ACCESS}) as [other]:
        launched = of.launch("--address", other.address, **ACCESS)
    check_nothing_lost(launched, stock(of, "node: head, SIGKILL", 1))
