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
    return study.ask().suggest_float("x", 0.0, 1.0)


def test_it_proposes_the_same_where_all_is_looked_at():
    values = [(number % 17) / 17 for number in range(60)]
    plain = asked(study_of(values), TPESampler(seed=3, multivariate=True))
    history = RecentHistory(study_of(values))
    trial = history.ask(TPESampler(seed=3, multivariate=True))
    assert trial.suggest_float("x", 0.0, 1.0) == plain


def test_it_sees_what_becomes_of_trials_that_were_running():
    """Asked in turns with a study that is looked at whole, it proposes the same."""
    studies = [study_of([]) for _ in range(2)]
    history, running, values = RecentHistory(studies[1]), [], []
    for number in range(60):
        one, other = (
            TPESampler(seed=number, multivariate=True, constant_liar=True) for _ in range(2)
        )
        studies[0].sampler = one
        trials = studies[0].ask(), history.ask(other)
        values.append([trial.suggest_float("x", 0.0, 1.0) for trial in trials])
        running.append(trials)
        if number % 3 == 2:
            for trials in (running.pop(1), running.pop(0)):
                for study, trial in zip(studies, trials, strict=True):
                    study.tell(trial, -abs(trial.params["x"] - 0.3))
    assert all(one == other for one, other in values)


def test_what_waits_comes_first():
    study = study_of([0.5] * 20)
    study.enqueue_trial({"x": 0.125})
    history = RecentHistory(study)
    trials = [history.ask(TPESampler(seed=1)) for _ in range(2)]
    assert trials[0].suggest_float("x", 0.0, 1.0) == 0.125
    assert trials[1].suggest_float("x", 0.0, 1.0) != 0.125
    assert [trial.number for trial in trials] == [20, 21]


def test_it_finds_what_is_best_after_thousands_of_trials():
    values = np.random.default_rng(1).uniform(size=2000)
    study = optuna.create_study(direction="maximize")
    study.add_trials(
        create_trial(params={"x": x}, distributions=SPACE, value=-abs(x - 0.7)) for x in values
    )
    history, found = RecentHistory(study), []
    for seed in range(20):
        trial = history.ask(TPESampler(seed=seed))
        found.append(abs(trial.suggest_float("x", 0.0, 1.0) - 0.7))
        study.tell(trial, -found[-1])
    assert sorted(found)[10] < 0.02


def test_several_objectives_have_no_best_trial_and_are_looked_at_whole():
    study = optuna.create_study(directions=["maximize", "minimize"])
    sampler = TPESampler(seed=1)
    RecentHistory(study).ask(sampler)
    assert study.sampler is sampler
