"""What a study will take: time, memory and disk, from one short probe of every combination."""

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from time import perf_counter
from typing import Any, NamedTuple, cast, final

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import FixedTrial, Trial

from study.check import Study
from study.errors import ConfigError
from study.space import Combination
from trainables.configuration import Configuration
from trainables.probe import Probe, peak_memory, probe

GIB, MIB = 1 << 30, 1 << 20
STARTS = 10.0
"""What a launch takes besides its trials, in starts of a probe's process: others start, one after
the other, and at the end there are models to log and a report to write."""
TIME, MEMORY, DISK = (1.0, 1.9), (0.75, 1.5), (0.7, 1.4)
"""Least and most in units of what was measured alone: beside each other, trials are slower."""
UNPRUNED = 0.75
"""Share of the work of a search that is left where trials may be pruned."""
BESIDE = 1.4 * GIB
"""Bytes of the driver, of Ray and of what writes to MLflow."""
RECORDED, REPORTED = 0.2 * MIB, 20 * MIB
"""Bytes in the record and in MLflow: of a trial besides weights and pairs of groups; of a study."""


class Range(NamedTuple):
    """From least to most, in one unit."""

    low: float
    high: float


@final
@dataclass(frozen=True)
class Cost:
    """What a study takes on machines like the one that was probed.

    Args:
        packs: at a time.
        trials: seconds of a whole trial of the search, by combination.
        seconds: of the launch.
        memory: bytes of all processes at a time.
        disk: bytes of the record and of MLflow's files.
        warnings: limits of the budget that will be reached.
    """

    packs: int
    trials: dict[str, float]
    seconds: Range
    memory: Range
    disk: Range
    warnings: list[str]


@final
@dataclass(frozen=True)
class Branch:
    """A combination, and what its probe has found."""

    label: str
    epochs: int
    probe: Probe


def cost(study: Study, packs: int | None = None) -> Cost:
    """Probes every combination, one after the other, each in a process of its own.

    Args:
        study: what would be launched.
        packs: at a time; by default as many as this machine has room for.

    Raises:
        ConfigError: if a combination cannot be trained.
    """
    budget, probed = study.config.budget, [_probed(study, part) for part in study.combinations]
    room = max(1, (os.cpu_count() or 1) // budget.cpus_per_pack)
    at_once = packs or min(room, budget.concurrent_packs or room)
    starts, branches = zip(*probed, strict=True)
    return estimated(study, list(branches), at_once, min(starts))


def _probed(study: Study, combination: Combination) -> tuple[float, Branch]:
    """Seconds that a process took to start, and what it found."""
    configuration, began = typical(combination), perf_counter()
    threads, stacked = study.config.budget.cpus_per_pack, _stacked(study, combination)
    task = (configuration.nested(), study.data, study.rules, threads, stacked)
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        try:
            process.submit(peak_memory).result()
            start = perf_counter() - began
            found = process.submit(probe, *task).result()
        except Exception as error:  # a component may raise anything, or end its process
            problem = f"cannot be trained: {type(error).__name__}: {error}"
            raise ConfigError(combination.label, [problem]) from error
    return start, Branch(combination.label, configuration.training.epochs, found)


def _stacked(study: Study, combination: Combination) -> int:
    """Members that are stepped as one: those of a trial, and of a pack that differs in floats."""
    if study.config.budget.stacked == "never":
        return 1
    spaces = combination.distributions().values()
    budget = study.config.budget
    is_alike = budget.alike or all(isinstance(space, FloatDistribution) for space in spaces)
    return len(study.data.folds) * (budget.pack if is_alike else 1)


def estimated(study: Study, branches: list[Branch], packs: int, start: float) -> Cost:
    """The cost of a study whose combinations were probed.

    Args:
        study: what would be launched.
        branches: one for each combination.
        packs: at a time.
        start: seconds that a process takes to start.
    """
    budget, folds = study.config.budget, len(study.data.folds)
    trials = {branch.label: folds * _search_seconds(study, branch) for branch in branches}
    tested = sum(_tested_seconds(study, branch) for branch in branches)
    left = 1.0 if study.config.algorithm.pruner == "none" else UNPRUNED
    work = (left * budget.trials_per_combination * sum(trials.values()) + tested) / packs
    largest = max(b.probe.memory + (budget.pack - 1) * b.probe.own_memory for b in branches)
    kept = REPORTED + sum(_kept(study, branch) for branch in branches)
    seconds = Range(*(share * (STARTS * start + work) for share in TIME))
    return Cost(
        packs=packs,
        trials=trials,
        seconds=seconds,
        memory=Range(*(share * (BESIDE + packs * largest) for share in MEMORY)),
        disk=Range(*(share * kept for share in DISK)),
        warnings=list(_warnings(study, trials, seconds, largest)),
    )


def typical(combination: Combination) -> Configuration:
    """The configuration in the middle of the space of a combination."""
    middles = {name: _middle(space) for name, space in combination.distributions().items()}
    return combination.propose(cast(Trial, FixedTrial(middles)))


def _middle(space: BaseDistribution) -> Any:
    if isinstance(space, CategoricalDistribution):
        return space.choices[len(space.choices) // 2]
    values = space._asdict()
    low, high = values["low"], values["high"]
    middle = (low * high) ** 0.5 if values["log"] else (low + high) / 2
    step = values.get("step")
    if not step:
        return middle
    return low + round((middle - low) / step) * step


def _search_seconds(study: Study, branch: Branch) -> float:
    """Of one member of a whole trial of the search."""
    return branch.epochs * branch.probe.stacked_epoch + _judged_seconds(study, branch)


def _judged_seconds(study: Study, branch: Branch) -> float:
    """Of one member, without its training."""
    found, report_every = branch.probe, study.config.algorithm.report_every
    validations = -(branch.epochs // -report_every) - 1
    return found.build + validations * found.validation + found.judgement


def _tested_seconds(study: Study, branch: Branch) -> float:
    """Of all that is read on the test points; these and what is trained on are not of a fold."""
    wanted, fold, final = study.config.protocol.confirmation, study.data.folds[0], study.data.final
    judging = len(final.held_out) / len(fold.held_out)
    confirmed = len(final.train) / len(fold.train) * branch.epochs * branch.probe.epoch
    confirmed += judging * _judged_seconds(study, branch)
    judged = judging * branch.probe.judgement
    ensembles = wanted.top * len(study.data.folds) * judged
    return wanted.seeds * (wanted.top * confirmed + min(1, wanted.top) * judged) + ensembles


def _kept(study: Study, branch: Branch) -> float:
    """Bytes of a combination in the record and, once more, in MLflow."""
    wanted, folds = study.config.protocol.confirmation, len(study.data.folds)
    member = 2 * (branch.probe.weights + branch.probe.pairs)
    of_folds = study.config.budget.trials_per_combination + (wanted.top if folds > 1 else 0)
    of_one = (wanted.top + min(1, wanted.top)) * wanted.seeds
    return of_folds * (RECORDED + folds * member) + of_one * (RECORDED + member)


def _warnings(
    study: Study, trials: dict[str, float], seconds: Range, memory: float
) -> Iterator[str]:
    budget = study.config.budget
    if budget.hours is not None and 3600 * budget.hours < seconds.low:
        yield (
            f"budget.hours: {budget.hours:g} is too short for the study, which takes "
            f"{seconds.low / 3600:.1f} at least; launch it again to continue it, or raise the limit"
        )
    slowest = max(trials, key=lambda label: trials[label])
    if budget.trial_minutes is not None and 60 * budget.trial_minutes < trials[slowest]:
        yield (
            f"budget.trial_minutes: {budget.trial_minutes:g}, but a trial of {slowest} takes about "
            f"{trials[slowest] / 60:.1f}; raise the limit or train fewer epochs"
        )
    limit = budget.memory_gib_per_pack
    if limit is not None and limit * GIB < memory:
        yield (
            f"budget.memory_gib_per_pack: {limit:g}, but a process takes about "
            f"{memory / GIB:.1f}; raise the limit or lower budget.pack"
        )
