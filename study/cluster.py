"""A Ray cluster to run on: one of our own on this machine, or the one at an address."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")
os.environ.setdefault("TUNE_DISABLE_STRICT_METRIC_CHECKING", "1")

import ray

from study.config import BudgetSection
from study.errors import ConfigError


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Connects to the cluster at ``address``, or starts one for the time being.

    Raises:
        ConfigError: if no cluster answers at the address.
    """
    try:
        ray.init(
            address=address or "local",
            include_dashboard=False if address is None else None,
            log_to_driver=False,
            logging_level=logging.ERROR,
            configure_logging=True,
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ConfigError(f"--address {address}", [f"no Ray cluster answers: {error}"]) from error
    try:
        yield
    finally:
        ray.shutdown()


def concurrent_packs(budget: BudgetSection) -> int:
    """How many packs the connected cluster runs at once.

    Raises:
        ConfigError: if it cannot run even one.
    """
    wanted = {"CPU": float(budget.cpus_per_pack), "GPU": budget.gpus_per_pack}
    resources = ray.cluster_resources()
    problems = [
        f"budget.{kind.lower()}s_per_pack: {amount:g}, but the cluster has "
        f"{resources.get(kind, 0):g} {kind}s"
        for kind, amount in wanted.items()
        if amount > resources.get(kind, 0)
    ]
    if problems:
        raise ConfigError("cluster", problems)
    room = min(int(resources[kind] // amount) for kind, amount in wanted.items() if amount)
    return min(room, budget.concurrent_packs or room)
