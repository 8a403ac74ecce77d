"""Launches that end before their study is whole, as the study file asks."""

from io import StringIO

import pytest
from optuna.storages import InMemoryStorage
from rich.console import Console

from study.conductor import Conductor
from study.manifest import manifest
from study.overruns import Overruns
from study.progress import Tally
from study.proposals import Proposals
from study.record import Record
from tests.study.files import accepted


@pytest.fixture
def stopped(tmp_path):
    """The conductor of a study after so many failures, and what the terminal showed."""

    def check(*changes, failed=0, times=1):
        study = accepted(tmp_path, *changes)
        record = Record.create(tmp_path / "small", manifest(study))
        proposals = [Proposals(record, part, InMemoryStorage()) for part in study.combinations]
        conductor = Conductor(record, proposals, unfinished=[], observer=print, concurrent=1)
        tally, shown = Tally(10, "map_at_r.size2"), StringIO()
        tally.states["failed"] = failed
        overruns = Overruns(study.config.budget)
        for _ in range(times):
            overruns.stop(conductor, tally, Console(file=shown, width=100))
        return conductor, shown.getvalue()

    return check


def test_without_limits_nothing_stops_a_study(stopped):
    conductor, shown = stopped(failed=1000)
    assert not conductor.is_stopped
    assert shown == ""


@pytest.mark.parametrize(("failed", "is_stopped"), [(2, False), (3, True), (4, True)])
def test_too_many_failures_stop_a_study_which_is_then_reported(stopped, failed, is_stopped):
    conductor, shown = stopped("budget.max_failed: 3", failed=failed)
    assert conductor.is_stopped is is_stopped
    assert conductor.error is None
    assert ("budget.max_failed: 3 trials have failed" in shown) is is_stopped


def test_a_study_whose_time_is_over_is_interrupted(stopped):
    conductor, shown = stopped("budget.hours: 1e-9")
    assert isinstance(conductor.error, KeyboardInterrupt)
    assert "budget.hours: 1e-09 hours are over" in shown


def test_a_study_is_stopped_once(stopped):
    _, shown = stopped("budget.hours: 1e-9", times=3)
    assert shown.count("stopping") == 1
