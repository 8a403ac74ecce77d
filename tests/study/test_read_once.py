"""TPE that reads the values of a trial once, beside Optuna's own."""

import optuna
import pytest
from optuna.samplers import PartialFixedSampler, TPESampler
from optuna.trial import TrialState

from study.read_once import ReadOnceTPE

OPTIONS = {"n_startup_trials": 5, "multivariate": True, "group": True, "constant_liar": True}
pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


def value_of(trial):
    """Trials of one kind have a parameter that those of the other lack."""
    kind = trial.suggest_categorical("kind", ["a", "b"])
    x = trial.suggest_float("x", 1e-3, 1.0, log=True)
    return x + (trial.suggest_int("y", 1, 9) if kind == "a" else 3)


def searched(make, objectives, fixed=None):
    """What a search proposes of which some trials always run, and some are pruned or fail."""
    study = optuna.create_study(directions=["minimize"] * objectives)
    running, proposed = [], []
    for number in range(80):
        sampler = make(number)
        study.sampler = PartialFixedSampler(fixed, sampler) if fixed else sampler
        trial = study.ask()
        running.append((trial, value_of(trial)))
        proposed.append(trial.params)
        if len(running) > 6:
            trial, value = running.pop(number % 3)
            if number % 7 == 0:
                study.tell(trial, state=TrialState.FAIL)
            elif number % 5 == 0 and objectives == 1:
                trial.report(value, 1)
                study.tell(trial, state=TrialState.PRUNED)
            else:
                study.tell(trial, [value, -value][:objectives])
    return proposed


@pytest.mark.parametrize("fixed", [None, {"x": 0.5}])
@pytest.mark.parametrize("objectives", [1, 2])
def test_it_proposes_what_optuna_does(objectives, fixed):
    read = {}
    ours = searched(lambda seed: ReadOnceTPE(read, seed=seed, **OPTIONS), objectives, fixed)
    assert ours == searched(lambda seed: TPESampler(seed=seed, **OPTIONS), objectives, fixed)
    assert {trial["kind"] for trial in ours} == {"a", "b"}
    assert max(len(values) for values in read.values()) > 60


def test_a_trial_is_read_once_while_it_runs_and_once_when_it_has_ended(monkeypatch):
    times, read, whole = [], {}, TPESampler._get_internal_repr

    def counted(sampler, trials, search_space, study):
        times.extend((one.number, one.state.is_finished(), *search_space) for one in trials)
        return whole(sampler, trials, search_space, study)

    monkeypatch.setattr(TPESampler, "_get_internal_repr", counted)
    searched(lambda seed: ReadOnceTPE(read, seed=seed, **OPTIONS), 1)
    assert len(times) == len(set(times)) > 100
