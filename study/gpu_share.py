"""The share of a GPU that a pack takes, from a short try on one."""

from dataclasses import replace
from typing import Any, cast

import ray
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FixedTrial, Trial
from ray.exceptions import RayError
from rich.console import Console

from study.check import Study
from study.cluster import GIB
from study.errors import ConfigError
from study.space import Combination
from trainables import gpu


def with_measured_share(study: Study, console: Console) -> Study:
    """The study with the share of a GPU that its packs take, where it asks for a measured one.

    On one GPU of the connected cluster, whose GPUs should be alike, a pack of the largest
    configuration of each combination takes some steps. Packs get no more than the ``gpus_per_pack``
    of the study.

    Raises:
        ConfigError: if it cannot be tried.
    """
    budget = study.config.budget
    if budget.gpu_share == "given":
        return study
    measure: Any = ray.remote(num_cpus=budget.cpus_per_pack, num_gpus=1)(_measured)
    console.print("measuring what a pack takes of a GPU, as soon as one is free")
    try:
        peak, total = ray.get(measure.remote(study))
    except RayError as error:
        # A component may raise anything.
        told = str(error).strip().splitlines()[-1]
        raise ConfigError("budget.gpu_share", [f"cannot be measured: {told}"]) from error
    share = min(budget.gpus_per_pack, gpu.share_of(peak, total))
    console.print(
        f"a pack takes {share:g} of a GPU: measured were {peak / GIB:.1f} of {total / GIB:.1f} GiB"
    )
    settled = budget.model_copy(update={"gpus_per_pack": share})
    return replace(study, config=study.config.model_copy(update={"budget": settled}))


def _measured(study: Study) -> tuple[int, int]:
    """Runs on a node that has a GPU."""
    budget, device = study.config.budget, gpu.claimed(ray.get_gpu_ids())
    configurations = [largest(combination) for combination in study.combinations]
    is_stacked = budget.stacked == "auto"
    return gpu.measured_peak(
        configurations, study.data, study.rules, budget.pack, is_stacked, device
    )


def largest(combination: Combination) -> dict[str, Any]:
    """The configuration with the most of everything that the space of a combination allows."""
    most = {name: _most(space) for name, space in combination.distributions().items()}
    return combination.propose(cast(Trial, FixedTrial(most))).nested()


def _most(space: BaseDistribution) -> Any:
    """The largest of numbers, and the last of words."""
    if not isinstance(space, CategoricalDistribution):
        return space._asdict()["high"]
    numbers = [choice for choice in space.choices if isinstance(choice, int | float)]
    return max(numbers) if len(numbers) == len(space.choices) else space.choices[-1]
