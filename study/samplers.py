"""Optuna's samplers and pruners by the names a study file uses, set up for small budgets."""

import warnings
from collections.abc import Callable
from typing import Any

import optuna
from optuna.distributions import FloatDistribution
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler

from study.chosen_trials import Sight
from study.config import StudyConfig
from study.read_once import ReadOnceTPE
from study.recent_history import RecentHistory


def sight(config: StudyConfig) -> Sight:
    """How much of a long history the study's sampler sees."""
    if config.algorithm.sampler not in ("cmaes", "nsga2"):
        return Sight()
    # What NSGA-II goes on from is among the best; generations of CMA-ES are smaller than 16.
    size = max(16, population(config))
    return Sight(best=4 * size, latest=5 * size, by_generation=True)


def sampler(
    config: StudyConfig, seed: int, fixed_seed: int, history: RecentHistory | None = None
) -> BaseSampler:
    """The study's sampler, made anew for every ask so that its proposals follow from the history.

    Args:
        config: the study.
        seed: differs from ask to ask, or proposals made after a restart would repeat.
        fixed_seed: the same for a combination, for sequences that must continue.
        history: of which the proposals are asked; TPE looks at all trials if it is left out.
    """
    startup = startup_trials(config)
    make: dict[str, Callable[[], BaseSampler]] = {
        "tpe": lambda: ReadOnceTPE(
            history.read if history else {},
            n_startup_trials=startup,
            multivariate=True,
            group=True,
            constant_liar=True,
            gamma=history.good if history else None,
            seed=seed,
        ),
        "random": lambda: optuna.samplers.RandomSampler(seed=seed),
        "qmc": lambda: optuna.samplers.QMCSampler(
            scramble=True,
            seed=fixed_seed,
            warn_independent_sampling=False,
            warn_asynchronous_seeding=False,
        ),
        "gp": lambda: optuna.samplers.GPSampler(
            n_startup_trials=startup, seed=seed, warn_independent_sampling=False
        ),
        "cmaes": lambda: optuna.samplers.CmaEsSampler(
            n_startup_trials=startup, seed=seed, warn_independent_sampling=False
        ),
        "nsga2": lambda: optuna.samplers.NSGAIISampler(
            population_size=population(config), seed=seed
        ),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        # It is to leave Optuna in version 6, and nothing else says so much there.
        warnings.filterwarnings("ignore", "`gamma`", FutureWarning)
        return make[config.algorithm.sampler]()


def sharing(sampler: BaseSampler, trial: optuna.Trial) -> BaseSampler:
    """A sampler of all but the choices and whole numbers, which are those of a trial."""
    shared = {
        name: value
        for name, value in trial.params.items()
        if not isinstance(trial.distributions[name], FloatDistribution)
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.PartialFixedSampler(shared, sampler)


def pruner(config: StudyConfig) -> BasePruner:
    """The study's pruner; it compares trials at equal epochs and spares the first few."""
    spared = max(2, min(5, config.budget.trials_per_combination // 4))
    every = config.algorithm.report_every
    make: dict[str, Callable[[], BasePruner]] = {
        "median": lambda: optuna.pruners.MedianPruner(
            n_startup_trials=spared, n_warmup_steps=every, n_min_trials=spared
        ),
        "successive_halving": lambda: optuna.pruners.SuccessiveHalvingPruner(
            min_resource=every, reduction_factor=3
        ),
        "none": optuna.pruners.NopPruner,
    }
    return make[config.algorithm.pruner]()


def startup_trials(config: StudyConfig) -> int:
    """Random trials before a model proposes: a third of the budget, 3 to 10, unless stated."""
    stated = config.algorithm.startup_trials
    return stated or max(3, min(10, config.budget.trials_per_combination // 3))


def population(config: StudyConfig) -> int:
    """Trials of a generation of NSGA-II."""
    return max(4, startup_trials(config))


def proposer(config: StudyConfig, trial: Any) -> str:
    """Who proposed a trial: a model, chance (space-filling sequences included), or a warm start."""
    if "fixed_params" in trial.storage.get_trial_system_attrs(trial._trial_id):
        return "warm_start"
    modelled = bool(trial.relative_params) and config.algorithm.sampler != "qmc"
    return "model" if modelled else "random"
