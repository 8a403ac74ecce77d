import pytest

from analysis.pace import RECENT, pace
from tests.analysis.studies import tables_of, trial, unfinished


def ending(*seconds):
    return [trial(number=number, ended=float(ended)) for number, ended in enumerate(seconds)]


def test_the_pace_is_that_of_the_newest_trials():
    slow, fast = range(0, 1000, 100), range(1000, 1000 + 6 * (RECENT + 1), 6)
    found = pace(tables_of(ending(*slow, *fast)), 51, 1000.0 + 6 * RECENT)
    assert found.per_minute == pytest.approx(10)
    assert found.seconds_left == pytest.approx(6 * (51 - 31))


def test_a_standstill_slows_the_pace():
    found = pace(tables_of(ending(0, 10, 20)), 5, 60.0)
    assert found.per_minute == pytest.approx(2)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_trials_have_no_pace(count):
    assert pace(tables_of(ending(*range(count))), 5, 60.0) is None


def test_running_trials_do_not_count():
    trials = [*ending(0, 10, 20), unfinished("running", number=3, ended=float("nan"))]
    assert pace(tables_of(trials), 4, 20.0).seconds_left == pytest.approx(10)


def test_of_a_study_with_more_trials_than_planned_nothing_is_left():
    assert pace(tables_of(ending(0, 10, 20)), 2, 20.0).seconds_left == 0
