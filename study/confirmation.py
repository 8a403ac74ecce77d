"""What is read on the locked test points: the best configurations again, and baselines."""

from dataclasses import replace

import numpy as np

from analysis.tables import RAW
from study.config import StudyConfig
from study.record import Result, Trial
from trainables.configuration import Component, Configuration, Training
from trainables.tasks import Phase


def plan(config: StudyConfig, results: list[Result]) -> list[Trial]:
    """What is read on the test points of one combination.

    The best complete trials are trained again on fresh seeds, and the models of their folds read as
    an ensemble; of the best, untrained twins are read. All combinations have the same seeds, so
    that what a seed does to them cancels in their differences; an untrained twin is what the
    confirmation of its number begins with.

    Args:
        config: of the study.
        results: of one combination.
    """
    wanted = config.protocol.confirmation
    chosen = best(config, results)[: wanted.top]
    seeds = {repeat: (repeat_seed(config.seed, repeat),) for repeat in range(1, 1 + wanted.seeds)}
    planned = []
    for found in chosen:
        planned += [
            _based_on(found, "confirmation", f"confirm-{n}", seed) for n, seed in seeds.items()
        ]
        if config.data.folds > 1:
            planned += [_ensemble(found)]
    for found in chosen[:1]:
        planned += [
            _based_on(found, "untrained", f"untrained-{n}", seed) for n, seed in seeds.items()
        ]
    return planned


def planned_trials(config: StudyConfig, combinations: int) -> int:
    """Trials that a study holds when it ends: of the search, and those read on the test."""
    budget, wanted = config.budget, config.protocol.confirmation
    confirmed = min(wanted.top, budget.trials_per_combination)
    ensembles = confirmed if config.data.folds > 1 else 0
    tested = (confirmed + min(1, confirmed)) * wanted.seeds + ensembles
    return combinations * (budget.trials_per_combination + tested) + min(1, wanted.top)


def repeat_seed(seed: int, repeat: int) -> int:
    """Seed of a repeat, from 1, of every confirmation of a study."""
    return int(np.random.SeedSequence([seed, repeat], spawn_key=(1,)).generate_state(1)[0])


def _ensemble(found: Result) -> Trial:
    weights = f"{found.trial.key}/attempt-{found.attempt}/weights.safetensors"
    ensemble = _based_on(found, "ensemble", "ensemble", found.trial.seeds)
    return replace(ensemble, weights=weights)


def _based_on(found: Result, phase: Phase, suffix: str, seeds: tuple[int, ...]) -> Trial:
    """Another trial of the configuration that was found."""
    key = found.trial.key
    again = replace(found.trial, key=f"{key}-{suffix}", phase=phase, seeds=seeds, based_on=key)
    return replace(again, proposed_by="")


def plan_all(config: StudyConfig, combinations: list[str], results: list[Result]) -> list[Trial]:
    """What is read on the test points of all combinations, and of the raw points."""
    planned = [
        trial
        for label in combinations
        for trial in plan(config, [r for r in results if r.trial.combination == label])
    ]
    return planned + raw(config)


def raw(config: StudyConfig) -> list[Trial]:
    """The mean of the points themselves, without any model; nothing where no test is read.

    Its embeddings are the test points as float32, which must fit into memory.
    """
    model = Configuration(
        Component("identity", {}),
        Component("mean", {}),
        Component("untrained", {}),
        None,
        Training(),
    )
    trial = Trial(RAW, "untrained", RAW, 0, (0,), model.nested())
    return [trial] if config.protocol.confirmation.top else []


def best(config: StudyConfig, results: list[Result]) -> list[Result]:
    """Complete search trials by quality, best first; the earlier one first among equals."""
    name = f"val/{config.protocol.quality_name}"
    complete = [
        result
        for result in results
        if result.trial.phase == "search" and result.outcome.state == "complete"
    ]
    return sorted(complete, key=lambda result: (-result.outcome.metrics[name], result.trial.key))
