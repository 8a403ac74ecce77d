"""Which of a history are chosen, as they come in any order."""

import numpy as np
import pytest
from optuna.distributions import FloatDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from study.chosen_trials import SPREAD, ChosenTrials, Sight

UP = [StudyDirection.MAXIMIZE]


def trial(number, state=TrialState.COMPLETE, value=0.5, names="x") -> FrozenTrial:
    space = dict.fromkeys(names, FloatDistribution(0.0, 1.0))
    made = create_trial(
        state=state,
        params=dict.fromkeys(names, 0.5),
        distributions=space,
        value=value if state is TrialState.COMPLETE else None,
    )
    made.number = number
    return made


def chosen(trials, sight=None):
    choice = ChosenTrials(UP, sight or Sight())
    for one in trials:
        choice.take_in(one)
    return choice


def numbers(trials):
    return [one.number for one in trials]


@pytest.mark.parametrize("count", [1, SPREAD, SPREAD + 1, 3 * SPREAD, 4000])
def test_a_pruner_sees_an_even_part_of_those_that_ended_in_whatever_order(count):
    order = np.random.default_rng(1).permutation(count).tolist()
    seen = sorted(numbers(chosen(map(trial, order)).for_pruner()))
    assert seen == sorted(numbers(chosen(map(trial, range(count))).for_pruner()))
    assert len(set(np.diff(seen))) <= 1
    assert min(count, SPREAD / 2) <= len(seen) <= SPREAD
    assert count - seen[-1] <= seen[1] - seen[0] if count > 1 else seen == [0]


def test_a_pruner_sees_all_that_run_as_they_are_now():
    running = [trial(number, TrialState.RUNNING) for number in range(3 * SPREAD)]
    changed = trial(7, TrialState.RUNNING)
    seen = chosen([*running, changed, trial(3)]).for_pruner()
    assert sorted(numbers(seen)) == list(range(3 * SPREAD))
    assert any(one is changed for one in seen)
    assert [one.state for one in seen if one.number == 3] == [TrialState.COMPLETE]


def test_by_generations_complete_ones_are_seen_and_as_many_more_as_run():
    running = [trial(number, TrialState.RUNNING) for number in range(100, 105)]
    pruned = [trial(number, TrialState.PRUNED) for number in range(80, 100)]
    complete = [trial(number, value=float(number == 3)) for number in range(80)]
    sight = Sight(best=1, latest=10, by_generation=True)
    seen = numbers(chosen([*running, *complete, *pruned], sight).for_sampler())
    assert seen == [3, *range(65, 80), *range(100, 105)]


def test_others_see_the_latest_that_ended_and_of_those_that_run():
    running = [trial(number, TrialState.RUNNING) for number in range(100, 120)]
    pruned = [trial(number, TrialState.PRUNED) for number in range(95, 100)]
    complete = [trial(number, value=float(number == 3)) for number in range(95)]
    choice = chosen([*running, *complete, *pruned], Sight(best=1, latest=10))
    assert numbers(choice.for_sampler()) == [3, *range(90, 100), *range(110, 120)]
    assert choice.ended == 100


def test_of_each_kind_the_first_is_seen_with_those_that_run():
    states = TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING, TrialState.FAIL
    trials = [
        trial(10 * place + more, state, names=names)
        for place, (state, names) in enumerate((s, n) for s in states for n in ("x", "xy"))
        for more in (5, 2, 8)
    ]
    assert numbers(chosen(trials).kinds()) == [2, 12, 22, 32, 42, 52]
