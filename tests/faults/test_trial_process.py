"""Processes of trials that are killed from outside, while their driver goes on."""

import random
from signal import SIGKILL

import pytest

from tests.faults.level import every
from tests.faults.processes import send, training
from tests.faults.studies import ended, until

pytestmark = pytest.mark.ray
CHANCE = 20230602
KILLS = 10


def kill(of, process, kills: int) -> None:
    """Kills processes in the middle of training, each time after some trial has begun anew."""
    chance = random.Random(CHANCE)
    for _ in range(kills):
        begun = of.begun

        def is_done(begun: int = begun) -> bool:
            victims = training(process.pid) if of.begun > begun else []
            return bool(victims) and send([chance.choice(victims)], SIGKILL) == 1

        until(process, is_done)


@every
def test_trials_whose_process_is_killed_run_again(study, stock):
    of = study(budget={"trials_per_combination": 8, "retries": KILLS})
    with of.launching() as process:
        kill(of, process, KILLS)
        launched = ended(process)
    assert launched.returncode == 0, launched.stderr
    row = stock(of, "trial process: SIGKILL", KILLS)
    assert row.is_sound, row
    assert row.failed == ()
    assert of.begun >= row.planned + KILLS / 2
