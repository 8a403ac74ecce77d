"""Against a definition in loops, and what Optuna finds."""

import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.study import StudyDirection
from optuna.trial import create_trial

from study.best_trials import BestTrials

UP, DOWN = StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE


def study_of(directions, values):
    """A study with a trial for each row of values."""
    study = optuna.create_study(directions=directions)
    study.add_trials(
        create_trial(params={"x": 0.5}, distributions={"x": FloatDistribution(0, 1)}, values=row)
        for row in np.asarray(values, float).reshape(len(values), -1).tolist()
    )
    return study


def kept(directions, values, count):
    best = BestTrials(directions, count)
    for trial in study_of(directions, values).get_trials():
        best.add(trial)
    return [trial.number for trial in best.trials]


@pytest.mark.parametrize("way", [UP, DOWN])
def test_of_one_objective_the_best_and_of_equal_ones_the_earlier(way):
    values = np.random.default_rng(1).integers(20, size=300)
    losses = values if way is DOWN else -values
    assert kept([way], values, 25) == sorted(np.argsort(losses, kind="stable")[:25])


def surpasses(one, other):
    return all(one <= other) and any(one < other)


def worst_of(losses):
    """The definition: the least far from its neighbours among those of the last front."""
    left = list(range(len(losses)))
    while left:
        front = [i for i in left if not any(surpasses(losses[j], losses[i]) for j in left)]
        left = [i for i in left if i not in front]
    distance = dict.fromkeys(front, 0.0)
    for column in losses.T:
        ranked = sorted(front, key=lambda i: column[i])
        span = column[ranked[-1]] - column[ranked[0]]
        for place, index in enumerate(ranked):
            if place in (0, len(ranked) - 1):
                distance[index] = float("inf")
            else:
                distance[index] += (column[ranked[place + 1]] - column[ranked[place - 1]]) / span
    return min(front, key=distance.__getitem__)


@pytest.mark.parametrize("seed", range(20))
def test_of_two_the_one_in_the_last_front_with_the_nearest_neighbours_is_dropped(seed):
    random = np.random.default_rng(seed)
    values = random.normal(size=(26, 2)) @ np.array([[1.0, random.uniform(-1, 1)], [0.0, 1.0]])
    worst = worst_of(values * [-1.0, 1.0])
    assert kept([UP, DOWN], values, 25) == [n for n in range(26) if n != worst]


def test_the_front_of_two_objectives_is_kept_whole_where_there_is_room():
    values = np.random.default_rng(2).normal(size=(400, 2))
    front = {trial.number for trial in study_of([UP, DOWN], values).best_trials}
    assert 3 < len(front) < 25
    found = kept([UP, DOWN], values, 25)
    assert len(found) == 25
    assert front < set(found)


def test_of_a_long_front_both_ends_stay_and_what_lies_between_is_even():
    first = np.random.default_rng(3).permutation(np.linspace(0.0, 1.0, 300))
    found = kept([DOWN, DOWN], np.stack([first, 1.0 - first], axis=1), 25)
    gaps = np.diff(np.sort(first[found]))
    assert {0.0, 1.0} <= set(first[found])
    assert gaps.max() < 4 / 25


@pytest.mark.parametrize("odd", [float("inf"), float("-inf"), 0.25])
def test_what_lies_apart_stays_among_values_that_are_equal_or_not_finite(odd):
    values = [[odd, 0.5]] * 30 + [[0.5, odd]] * 30 + [[0.1, 0.1]]
    found = kept([DOWN, DOWN], values, 25)
    assert len(found) == 25
    assert 60 in found
