import warnings

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from study import samplers
from tests.study.files import accepted

SAMPLERS = ["cmaes", "gp", "nsga2", "qmc", "random", "tpe"]
SPACE = {
    "a": FloatDistribution(1e-3, 1, log=True),
    "b": IntDistribution(1, 8),
    "c": CategoricalDistribution(["x", "y"]),
}
TWO = ["protocol.objectives: [quality, relative_gap]", "algorithm.pruner: none"]


def config_of(folder, *changes):
    return accepted(folder, "algorithm.startup_trials: 3", *changes).config


def asked(config, trials, fixed_seed=0):
    """Parameters and proposer of every trial of a small study."""
    objectives = len(config.protocol.objectives)
    study = optuna.create_study(directions=["maximize", "minimize"][:objectives])
    found = []
    for number in range(trials):
        study.sampler = samplers.sampler(config, number, fixed_seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            trial = study.ask()
            for name, distribution in SPACE.items():
                trial._suggest(name, distribution)
        found.append((trial.params, samplers.proposer(config, trial)))
        study.tell(trial, [trial.params["a"]] * objectives)
    return found


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_proposes_the_same_again(tmp_path, name):
    config = config_of(tmp_path, f"algorithm.sampler: {name}")
    proposals = asked(config, 5)
    assert proposals == asked(config, 5)
    assert len({str(parameters) for parameters, _ in proposals}) == 5


@pytest.mark.parametrize("name", SAMPLERS)
def test_no_sampler_warns_of_what_it_lacks(tmp_path, name, caplog):
    optuna.logging.enable_propagation()
    try:
        asked(config_of(tmp_path, f"algorithm.sampler: {name}"), 5)
    finally:
        optuna.logging.disable_propagation()
    assert [record for record in caplog.records if record.levelname == "WARNING"] == []


@pytest.mark.parametrize(
    ("name", "modelled"),
    [("cmaes", 3), ("gp", 3), ("nsga2", 2), ("qmc", 0), ("random", 0), ("tpe", 3)],
)
def test_a_model_proposes_after_the_first_random_trials(tmp_path, name, modelled):
    config = config_of(tmp_path, f"algorithm.sampler: {name}")
    proposers = [proposer for _, proposer in asked(config, 6)]
    assert proposers == ["random"] * (6 - modelled) + ["model"] * modelled


@pytest.mark.parametrize("name", [name for name in SAMPLERS if name != "cmaes"])
def test_every_other_sampler_than_cmaes_knows_two_objectives(tmp_path, name):
    assert len(asked(config_of(tmp_path, f"algorithm.sampler: {name}", *TWO), 5)) == 5


def test_a_space_filling_sequence_continues_after_a_restart(tmp_path):
    config = config_of(tmp_path, "algorithm.sampler: qmc")
    values = [parameters["b"] for parameters, _ in asked(config, 9)][1:]
    assert len(set(values)) >= 6


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("median", optuna.pruners.MedianPruner),
        ("successive_halving", optuna.pruners.SuccessiveHalvingPruner),
        ("none", optuna.pruners.NopPruner),
    ],
)
def test_pruners_go_by_their_names(tmp_path, name, kind):
    assert type(samplers.pruner(config_of(tmp_path, f"algorithm.pruner: {name}"))) is kind


@pytest.mark.parametrize(("trials", "startup"), [(1, 3), (12, 4), (16, 5), (30, 10), (500, 10)])
def test_a_third_of_the_budget_is_random_unless_stated(tmp_path, trials, startup):
    config = accepted(tmp_path, f"budget.trials_per_combination: {trials}").config
    assert samplers.startup_trials(config) == startup


def test_the_stated_number_of_random_trials_counts(tmp_path):
    assert samplers.startup_trials(config_of(tmp_path)) == 3
