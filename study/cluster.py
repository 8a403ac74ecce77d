"""A Ray cluster to run on: one of our own on this machine, or the one at an address."""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")
os.environ.setdefault("TUNE_DISABLE_STRICT_METRIC_CHECKING", "1")
# The searcher knows how many packs may run; Ray would let processes start one after the other.
os.environ.setdefault("TUNE_MAX_PENDING_TRIALS_PG", "1000000")
# Ray's own 15 lets every other process on the machine go before the training.
os.environ.setdefault("RAY_worker_niceness", "0")

import ray

from study.config import BudgetSection
from study.errors import ConfigError

CONNECT_SECONDS = 5


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Connects to the cluster at ``address``, or starts one for the time being.

    Raises:
        ConfigError: if no cluster answers at the address, or none can be started.
    """
    try:
        _knock(address or "")
        ray.init(
            address=address or "local",
            include_dashboard=False if address is None else None,
            log_to_driver=False,
            logging_level=logging.ERROR,
            configure_logging=True,
        )
    except (OSError, ValueError, RuntimeError) as error:
        place = f"--address {address}" if address else "Ray"
        problem = "no Ray cluster answers" if address else "cannot be started here"
        raise ConfigError(place, [f"{problem}: {error}"]) from error
    try:
        yield
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Connects to ``host:port`` once; Ray would try for minutes if nobody answers."""
    place = urlsplit(f"//{address.removeprefix('ray://')}")
    if place.hostname and place.port:
        socket.create_connection((place.hostname, place.port), CONNECT_SECONDS).close()


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
