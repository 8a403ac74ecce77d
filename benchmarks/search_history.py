"""Whether a search is as good where a proposal looks at a part of the trials, and what it takes.

    python benchmarks/search_history.py [tpe] [--trials 600] [--seeds 12]

Functions with a known best, eight trials at once: ``hartmann`` of six numbers and ``rosenbrock`` of
four (Surjanovic and Bingham 2013, Virtual Library of Simulation Experiments), ``rastrigin`` of
three, and ``options``, which has choices, whole numbers, a parameter that only some trials have,
noise, and trials that are pruned; of two objectives ``zdt1`` and ``zdt6`` of six numbers (Zitzler,
Deb and Thiele 2000, Comparison of Multiobjective Evolutionary Algorithms). The same seeds search
with the history that studies use and with a plain Optuna study, which looks at all trials. Printed
are, of the searches of each function, how many are better and worse than that, the medians of what
they found, without noise (functions of one objective are maximised; of two it is the area below the
reference point 1, 8 that the trials surpass), and milliseconds of a proposal in the last third.
"""

import sys
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import click
import numpy as np
import optuna
from optuna.trial import BaseTrial

from study import samplers
from study.config import StudyConfig
from study.recent_history import RecentHistory

STUDY = {
    "name": "history",
    "data": {"source": "digits"},
    "search": {"encoder": {"linear": {}}, "aggregator": {"mean": {}}, "loss": {"triplet": {}}},
    "budget": {"trials_per_combination": 100},
}
AT_ONCE = 8

HEIGHTS = np.array([1.0, 1.2, 3.0, 3.2])
WIDTHS = np.array(
    [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8]]
    + [[17, 8, 0.05, 10, 0.1, 14]]
)
CENTRES = 1e-4 * np.array(
    [[1312, 1696, 5569, 124, 8283, 5886], [2329, 4135, 8307, 3736, 1004, 9991]]
    + [[2348, 1451, 3522, 2883, 3047, 6650], [4047, 8828, 8732, 5743, 1091, 381]]
)


def _numbers(trial: BaseTrial, count: int, reach: float) -> np.ndarray:
    return np.array([trial.suggest_float(f"x{n}", -reach, reach) for n in range(count)])


def _hartmann(trial: BaseTrial) -> float:
    x = (_numbers(trial, 6, 1.0) + 1.0) / 2.0
    return float(HEIGHTS @ np.exp(-(WIDTHS * (x - CENTRES) ** 2).sum(1)))


def _rosenbrock(trial: BaseTrial) -> float:
    x = _numbers(trial, 4, 2.0)
    return -float((100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2).sum())


def _rastrigin(trial: BaseTrial) -> float:
    x = _numbers(trial, 3, 5.0)
    return -float((x**2 - 10.0 * np.cos(2.0 * np.pi * x) + 10.0).sum())


def _options(trial: BaseTrial) -> float:
    kind = trial.suggest_categorical("kind", ["a", "b", "c", "d"])
    size = trial.suggest_int("size", 1, 16)
    rate = np.log10(trial.suggest_float("rate", 1e-5, 1e-1, log=True))
    margin = np.log10(trial.suggest_float("margin", 0.01, 1.0, log=True))
    weight = trial.suggest_float(f"weight.{kind}", 0.0, 1.0) if kind in "ab" else 0.5
    off = 0.1 * abs("abcd".index(kind) - 1) + 0.03 * abs(size - 5) + (weight - 0.3) ** 2
    return -float(off + 0.2 * (rate + 2.7) ** 2 + 0.3 * (margin + 0.8) ** 2)


def _zdt1(trial: BaseTrial) -> tuple[float, float]:
    x = (_numbers(trial, 6, 1.0) + 1.0) / 2.0
    off = 1.0 + 9.0 * x[1:].mean()
    return float(x[0]), float(off * (1.0 - np.sqrt(x[0] / off)))


def _zdt6(trial: BaseTrial) -> tuple[float, float]:
    x = (_numbers(trial, 6, 1.0) + 1.0) / 2.0
    first = 1.0 - np.exp(-4.0 * x[0]) * np.sin(6.0 * np.pi * x[0]) ** 6
    off = 1.0 + 9.0 * x[1:].mean() ** 0.25
    return float(first), float(off * (1.0 - (first / off) ** 2))


Function = Callable[[BaseTrial], float | tuple[float, float]]
ONE: dict[str, Function] = {
    "hartmann": _hartmann,
    "rosenbrock": _rosenbrock,
    "rastrigin": _rastrigin,
    "options": _options,
}
TWO: dict[str, Function] = {"zdt1": _zdt1, "zdt6": _zdt6}
REFERENCE = 1.0, 8.0


class Found(NamedTuple):
    """The best of a search, without noise, and milliseconds of a proposal in its last third."""

    best: float
    milliseconds: float


@click.command()
@click.argument("sampler", default="tpe")
@click.option("--trials", default=600, show_default=True)
@click.option("--seeds", default=12, show_default=True)
def command(sampler: str, trials: int, seeds: int) -> None:
    """Compare searches by how much of their history a proposal looks at."""
    config = StudyConfig.model_validate({**STUDY, "algorithm": {"sampler": sampler}})
    heads = f"{'function':>12}{'better':>8}{'worse':>7}{'ours':>9}{'all':>9}"
    click.echo(f"{heads}{'ours ms':>9}{'all ms':>8}")
    for name in [*ONE, *TWO] if sampler != "cmaes" else ONE:
        ours, all_ = (
            [_searched(config, name, trials, seed, is_ours) for seed in range(seeds)]
            for is_ours in (True, False)
        )
        pairs = [(one.best, other.best) for one, other in zip(ours, all_, strict=True)]
        best, spent = np.median([ours, all_], axis=1).T
        click.echo(
            f"{name:>12}{sum(one > other for one, other in pairs):>8}"
            f"{sum(one < other for one, other in pairs):>7}{best[0]:>9.3f}{best[1]:>9.3f}"
            f"{spent[0]:>9.1f}{spent[1]:>8.1f}"
        )


def _searched(config: StudyConfig, name: str, count: int, seed: int, is_ours: bool) -> Found:
    function, random = (ONE | TWO)[name], np.random.default_rng(seed)
    is_noisy = name == "options"
    pruner = optuna.pruners.MedianPruner(5, 1) if is_noisy else optuna.pruners.NopPruner()
    directions = ["maximize"] if name in ONE else ["minimize", "minimize"]
    study = optuna.create_study(directions=directions, pruner=pruner)
    history = RecentHistory(study, samplers.sight(config)) if is_ours else None
    running: deque[tuple[optuna.Trial, float | tuple[float, float]]] = deque()
    seconds = []
    for number in range(count):
        began = time.perf_counter()
        trial = _asked(config, study, history, 1000 * seed + number)
        value = function(trial)
        seconds.append(time.perf_counter() - began)
        running.append((trial, value + 0.03 * random.normal() if is_noisy else value))
        if len(running) > AT_ONCE:
            _tell(study, history, *running.popleft())
    spent = 1e3 * float(np.mean(seconds[-count // 3 :]))
    if name in TWO:
        return Found(_area([trial.values for trial in study.best_trials]), spent)
    return Found(function(optuna.trial.FixedTrial(study.best_params)), spent)


def _asked(
    config: StudyConfig, study: optuna.Study, history: RecentHistory | None, seed: int
) -> optuna.Trial:
    if history:
        return history.ask(samplers.sampler(config, seed, 0, history))
    study.sampler = samplers.sampler(config, seed, 0)
    return study.ask()


def _tell(
    study: optuna.Study,
    history: RecentHistory | None,
    trial: optuna.Trial,
    value: float | tuple[float, float],
) -> None:
    """How a trial ends; what it reports of one objective before is the less the earlier."""
    ended = {"values": value}
    for epoch in range(1, 6) if isinstance(value, float) else ():
        trial.report(value - 0.5 / epoch, epoch)
        if history.should_prune(trial) if history else trial.should_prune():
            ended = {"state": optuna.trial.TrialState.PRUNED}
            break
    study.tell(trial, **ended)
    if history:
        history.ended(trial)


def _area(front: list[list[float]]) -> float:
    """What lies between the points of a front and the reference point."""
    area, (right, top) = 0.0, REFERENCE
    for first, second in sorted(front):
        area += max(0.0, right - first) * max(0.0, top - second)
        top = min(top, second)
    return area


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sys.exit(command())
