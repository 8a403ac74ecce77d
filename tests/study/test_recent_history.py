"""Samplers and pruners that look at fewer trials, on histories longer and shorter than that."""

from collections import deque

import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.pruners import MedianPruner, SuccessiveHalvingPruner
from optuna.samplers import TPESampler
from optuna.trial import TrialState, create_trial

from study import samplers
from study.chosen_trials import BEST, LATEST, SPREAD
from study.recent_history import RecentHistory
from tests.study.files import accepted

SPACE = {"x": FloatDistribution(0.0, 1.0)}


def study_of(values, direction="maximize"):
    study = optuna.create_study(direction=direction)
    study.add_trials(
        create_trial(params={"x": value}, distributions=SPACE, value=value) for value in values
    )
    return study


class Looking(TPESampler):
    """Notes what it finds has been searched, the trials it is shown, and those it finds good."""

    def infer_relative_search_space(self, study, trial):
        self.space = super().infer_relative_search_space(study, trial)
        return self.space

    def sample_relative(self, study, trial, search_space):
        self.numbers = [shown.number for shown in study.get_trials(deepcopy=False)]
        return super().sample_relative(study, trial, search_space)

    def _build_parzen_estimator(self, study, search_space, trials, handle_below):
        if handle_below:
            self.good = [trial.number for trial in trials]
        return super()._build_parzen_estimator(study, search_space, trials, handle_below)


def looked_at(study, history=None):
    """What a proposal looks at, made by a history that has followed a study, or by a new one."""
    sampler = Looking(seed=1)
    trial = (history or RecentHistory(study)).ask(sampler)
    trial.suggest_float("x", 0.0, 1.0)
    study.tell(trial, state=TrialState.FAIL)
    if history:
        history.ended(trial)
    return sampler.numbers


def test_a_short_history_is_looked_at_whole():
    study = study_of([0.5] * (LATEST - 1))
    assert looked_at(study) == list(range(LATEST - 1))


@pytest.mark.parametrize(
    ("direction", "best", "worst"),
    [("maximize", range(75, 100), 0.0), ("minimize", range(25), 1.0)],
)
def test_of_a_long_one_the_best_and_the_latest(direction, best, worst):
    rising = [(1 + number) / 1000 for number in range(100)]
    study = study_of(rising + [worst] * LATEST, direction)
    assert len(best) == BEST
    assert looked_at(study) == [*best, *range(100, 100 + LATEST)]


@pytest.mark.filterwarnings("ignore:`gamma`:FutureWarning")
@pytest.mark.parametrize("count", [40, 120, 400])
@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_what_tpe_finds_good_is_what_it_would_find_in_all(count, direction):
    """Many are equally good, of which it takes the first."""
    study = study_of(np.random.default_rng(count).integers(12, size=count) / 12, direction)
    whole, part = Looking(seed=1, multivariate=True), RecentHistory(study)
    asked(study, whole)
    sampler = Looking(seed=1, multivariate=True, gamma=part.good)
    part.ask(sampler).suggest_float("x", 0.0, 1.0)
    assert sampler.good == whole.good
    assert len(whole.numbers) == count + 1
    assert len(sampler.numbers) <= BEST + LATEST + 1  # what was asked for first still runs


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_what_only_old_trials_had_is_still_searched():
    study = optuna.create_study(direction="maximize")
    for name, count in [("y", 3), ("x", 200)]:
        space = {"z": SPACE["x"], name: SPACE["x"]}
        study.add_trials(
            create_trial(params=dict.fromkeys(space, 0.5), distributions=space, value=count)
            for _ in range(count)
        )
    whole, part = (Looking(seed=1, multivariate=True, group=True) for _ in range(2))
    RecentHistory(study).ask(part).suggest_float("x", 0.0, 1.0)
    asked(study, whole)
    assert list(part.space) == list(whole.space) == ["z", "y", "x"]


def test_what_did_not_complete_is_not_among_the_best():
    study = optuna.create_study(direction="maximize")
    study.add_trial(create_trial(state=TrialState.FAIL))
    study.add_trials(study_of([0.1] * LATEST).get_trials())
    assert looked_at(study) == list(range(1, LATEST + 1))


def test_it_follows_a_study_of_which_some_always_run():
    study, running = study_of([]), []
    history = RecentHistory(study)
    for number in range(600):
        running.append(history.ask(TPESampler(seed=number)))
        running[-1].suggest_float("x", 0.0, 1.0)
        if number % 5 == 0:
            continue
        ended = running.pop(3 * number % len(running))
        study.tell(ended, ended.params["x"])
        history.ended(ended)
    trials = study.get_trials(states=(TrialState.COMPLETE,))
    best = sorted(trials, key=lambda trial: trial.value)[-BEST:]
    numbers = sorted(trial.number for trial in running)
    assert len(numbers) > LATEST
    chosen = {trial.number for trial in [*best, *trials[-LATEST:]]}.union(numbers[-LATEST:])
    assert looked_at(study, history) == sorted(chosen)


def test_of_more_running_ones_than_are_looked_at_those_that_end_are_seen():
    study = study_of([])
    history = RecentHistory(study)
    running = [history.ask(TPESampler(seed=number)) for number in range(3 * LATEST)]
    for trial in running[:BEST]:
        study.tell(trial, 0.5)
        history.ended(trial)
    assert looked_at(study, history) == [*range(BEST), *range(2 * LATEST, 3 * LATEST)]


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
                history.ended(trials[1])
    assert all(one == other for one, other in values)


def test_what_waits_comes_first():
    study = study_of([0.5] * 20)
    study.enqueue_trial({"x": 0.125})
    history = RecentHistory(study)
    trials = [history.ask(TPESampler(seed=1)) for _ in range(2)]
    assert trials[0].suggest_float("x", 0.0, 1.0) == 0.125
    assert trials[1].suggest_float("x", 0.0, 1.0) != 0.125
    assert [trial.number for trial in trials] == [20, 21]


@pytest.mark.filterwarnings("ignore:`gamma`:FutureWarning")
def test_it_finds_what_is_best_after_thousands_of_trials():
    values = np.random.default_rng(1).uniform(size=2000)
    study = optuna.create_study(direction="maximize")
    study.add_trials(
        create_trial(params={"x": x}, distributions=SPACE, value=-abs(x - 0.7)) for x in values
    )
    history, found = RecentHistory(study), []
    for seed in range(20):
        trial = history.ask(TPESampler(seed=seed, gamma=history.good))
        found.append(abs(trial.suggest_float("x", 0.0, 1.0) - 0.7))
        study.tell(trial, -found[-1])
    assert sorted(found)[10] < 0.02


def trials_of(sampler, study, history, count):
    """What is proposed, eight at once, and whether it was pruned, of one history or all trials."""
    running, found = deque(), []
    for number in range(count):
        proposed_by = sampler(number, history)
        if history:
            trial = history.ask(proposed_by)
        else:
            study.sampler = proposed_by
            trial = study.ask()
        x, y = (trial.suggest_float(name, 0.0, 1.0) for name in "xy")
        running.append((trial, (x - 0.3) ** 2 + abs(y - 0.8)))
        if len(running) == 8:
            trial, value = running.popleft()
            state, noise = None, np.random.default_rng(trial.number).normal(size=10)
            value += 0.01 * noise[0]
            for epoch in range(1, 10):
                trial.report(value + noise[epoch] / epoch, epoch)
                if history.should_prune(trial) if history else trial.should_prune():
                    state, value = TrialState.PRUNED, None
                    break
            study.tell(trial, value, state)
            if history:
                history.ended(trial)
            found.append((trial.params, state))
    return found


def both(sampler, pruner, count, sight=None):
    """The same search with a history and with one that is looked at whole."""
    found = []
    for is_ours in (True, False):
        study = optuna.create_study(pruner=pruner())
        history = RecentHistory(study, sight) if is_ours else None
        found.append(trials_of(sampler, study, history, count))
    return found


PRUNERS = {
    "median": lambda: MedianPruner(5, 2, n_min_trials=5),
    "successive halving": lambda: SuccessiveHalvingPruner(1, 3),
}


def by_chance(number, history):
    return optuna.samplers.RandomSampler(seed=number)


@pytest.mark.parametrize("pruner", PRUNERS)
def test_of_so_many_trials_those_are_pruned_that_would_be_if_all_were_looked_at(pruner):
    ours, whole = both(by_chance, PRUNERS[pruner], SPREAD)
    assert ours == whole
    assert 0 < sum(state is TrialState.PRUNED for _, state in ours) < len(ours)


@pytest.mark.parametrize("pruner", PRUNERS)
def test_of_more_as_many_and_nearly_the_same(pruner):
    ours, whole = (
        np.array([state is TrialState.PRUNED for _, state in found])
        for found in both(by_chance, PRUNERS[pruner], 4 * SPREAD)
    )
    assert abs(ours.mean() - whole.mean()) < 0.02
    assert 0 < (ours != whole).mean() < 0.05


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", ["cmaes", "nsga2", "qmc"])
def test_what_goes_by_generations_or_a_sequence_proposes_as_if_it_saw_all(tmp_path, name):
    config = accepted(tmp_path, f"algorithm.sampler: {name}").config

    def sampler(number, history):
        return samplers.sampler(config, number, 0, history)

    ours, whole = both(sampler, optuna.pruners.NopPruner, 400, samplers.sight(config))
    assert ours == whole
    assert len({str(parameters) for parameters, _ in ours}) > 300


def test_what_ended_before_the_next_was_asked_for_is_counted_once():
    study = study_of([])
    study.pruner = MedianPruner(0, 0)
    history = RecentHistory(study)
    trials = [history.ask(TPESampler(seed=number)) for number in range(2)]
    for trial in trials:
        trial.suggest_float("x", 0.0, 1.0)
    study.tell(trials[1], 0.5)
    history.ended(trials[1])
    trials[0].report(0.5, 1)
    assert not history.should_prune(trials[0])
    history.ask(TPESampler(seed=2))
    assert [history._chosen.ended, len(history._chosen._best.trials)] == [1, 1]


def test_two_objectives_have_best_trials_too():
    study = optuna.create_study(directions=["maximize", "minimize"])
    values = np.random.default_rng(4).normal(size=(300, 2)).tolist()
    study.add_trials(
        create_trial(params={"x": 0.5}, distributions=SPACE, values=pair) for pair in values
    )
    front = {trial.number for trial in study.best_trials}
    numbers = set(looked_at(study))
    assert front | set(range(300 - LATEST, 300)) <= numbers
    assert len(numbers) <= BEST + LATEST
