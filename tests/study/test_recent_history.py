"""A sampler that looks at fewer trials, on histories longer and shorter than that."""

import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.samplers import TPESampler
from optuna.trial import TrialState, create_trial

from study.recent_history import BEST, LATEST, RecentHistory

SPACE = {"x": FloatDistribution(0.0, 1.0)}


def study_of(values, direction="maximize"):
    study = optuna.create_study(direction=direction)
    study.add_trials(
        create_trial(params={"x": value}, distributions=SPACE, value=value) for value in values
    )
    return study


def looked_at(study, history=None):
    history = history or RecentHistory(study)
    return [trial.number for trial in history.chosen(study.get_trials(deepcopy=False))]


def test_a_short_history_is_looked_at_whole():
    study = study_of([0.5] * (LATEST - 1))
    assert looked_at(study) == list(range(LATEST - 1))


@pytest.mark.parametrize(
    ("direction", "best"), [("maximize", range(50, 100)), ("minimize", range(50))]
)
def test_of_a_long_one_the_best_of_the_older_and_the_latest(direction, best):
    rising = [number / 1000 for number in range(100)]
    study = study_of(rising + [0.5] * LATEST, direction)
    assert len(best) == BEST
    assert looked_at(study) == [*best, *range(100, 100 + LATEST)]


def test_what_did_not_complete_is_not_among_the_best():
    study = optuna.create_study(direction="maximize")
    study.add_trial(create_trial(state=TrialState.FAIL))
    study.add_trials(study_of([0.1] * LATEST).get_trials())
    assert looked_at(study) == list(range(1, LATEST + 1))


def test_looking_as_it_grows_is_looking_at_its_end():
    study, values = study_of([]), [(7 * number % 401) / 401 for number in range(400)]
    history = RecentHistory(study)
    for value in values:
        study.add_trial(create_trial(params={"x": value}, distributions=SPACE, value=value))
        grown = looked_at(study, history)
    assert grown == looked_at(study)


def asked(study, sampler):
    study.sampler = sampler
    return study.ask(SPACE).params


def test_it_proposes_the_same_where_all_is_looked_at():
    values = [(number % 17) / 17 for number in range(60)]
    plain = asked(study_of(values), TPESampler(seed=3, multivariate=True))
    study = study_of(values)
    assert (
        asked(study, RecentHistory(study).sampler(TPESampler(seed=3, multivariate=True))) == plain
    )


def test_it_finds_what_is_best_after_thousands_of_trials():
    values = np.random.default_rng(1).uniform(size=2000)
    study = optuna.create_study(direction="maximize")
    study.add_trials(
        create_trial(params={"x": x}, distributions=SPACE, value=-abs(x - 0.7)) for x in values
    )
    history, found = RecentHistory(study), []
    for seed in range(20):
        study.sampler = history.sampler(TPESampler(seed=seed))
        trial = study.ask(SPACE)
        found.append(abs(trial.params["x"] - 0.7))
        study.tell(trial, -found[-1])
    assert sorted(found)[10] < 0.02


def test_several_objectives_have_no_best_trial_and_are_looked_at_whole():
    study = optuna.create_study(directions=["maximize", "minimize"])
    sampler = TPESampler(seed=1)
    assert RecentHistory(study).sampler(sampler) is sampler
