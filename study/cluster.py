"""A Ray cluster to run on: one of our own on this machine, or the one at an address."""

import logging
import math
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")
os.environ.setdefault("TUNE_PRINT_ALL_TRIAL_ERRORS", "0")  # the record has the reason
os.environ.setdefault("TUNE_DISABLE_STRICT_METRIC_CHECKING", "1")
# The searcher knows how many packs may run; Ray would let processes start one after the other.
os.environ.setdefault("TUNE_MAX_PENDING_TRIALS_PG", "1000000")
# Tune's own record of an experiment is of no use to us, and costs more the more packs there were.
os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", "inf")
# Nobody reads the metrics and the log of a cluster of our own, and to collect them takes time.
os.environ.setdefault("RAY_enable_metrics_collection", "0")
os.environ.setdefault("REPORTER_UPDATE_INTERVAL_MS", "60000")
os.environ.setdefault("RAY_LOG_MONITOR_MANY_FILES_THRESHOLD", "0")
os.environ.setdefault("LOG_NAME_UPDATE_INTERVAL_S", "60")
# Ray's own 15 lets every other process on the machine go before the training.
os.environ.setdefault("RAY_worker_niceness", "0")
# Ray's own watch over memory ends whole experiments; the kernel's ends one process, and the trials
# of that one run again. `budget.memory_gib_per_pack` is for those that want more than their share.
os.environ.setdefault("RAY_memory_monitor_refresh_ms", "0")
# Ray's own default lets anybody in who reaches a port, until a token happens to exist.
os.environ.setdefault("RAY_AUTH_MODE", "token")

import psutil
import ray

from study import cluster_access, head_watch
from study.config import BudgetSection
from study.errors import ConfigError

cluster_access.read_settings()
CONNECT_SECONDS = 5
STARTS = 3
GIB = 1 << 30


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Connects to the cluster at ``address``, or starts one for the time being.

    A cluster of others must ask for a token; one of our own does, and keeps its files to its user.

    Raises:
        ConfigError: if no cluster answers at the address, if it is open or refuses this client, or
            none can be started.
    """
    with (
        _joined(address) if address else _started(),
        head_watch.watched(ray.get_runtime_context().gcs_address),
    ):
        yield


def admitted(address: str) -> str:
    """``host:port`` of the head of a cluster that asks for a token and takes this client's.

    Raises:
        ConfigError: if no cluster answers at the address, if it is open or refuses this client.
    """
    place = f"--address {address}"
    if address.startswith("ray://"):
        problem = "is for Ray Client, which cannot run a study; `ray job submit` can"
        raise ConfigError(place, [problem])
    try:
        head = cluster_access.located(address)
        _knock(head)
        cluster_access.refuse_unless_closed(head, place)
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigError(place, [f"no Ray cluster answers: {error}"]) from error
    return head


@contextmanager
def _joined(address: str) -> Iterator[None]:
    try:
        _initialise(admitted(address))
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigError(f"--address {address}", [f"no Ray cluster answers: {error}"]) from error
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _started() -> Iterator[None]:
    try:
        cluster_access.keep_token_private()
        # Ray opens the folder it is given to everybody, not the one around it. Where Ray fails, its
        # logs stay there.
        folder = tempfile.mkdtemp(prefix="ray-", dir=os.environ.get("RAY_TMPDIR"))
        _start(folder)
    except Exception as error:  # Ray raises that very class where a start takes too long
        raise ConfigError("Ray", [f"cannot be started here: {error}"]) from error
    try:
        yield
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def _start(folder: str) -> None:
    """Starts a cluster; again where a busy machine was too slow for Ray's 30 seconds."""
    for left in reversed(range(STARTS)):
        others = set(psutil.Process().children())
        try:
            _initialise("local", _temp_dir=f"{folder}/{left}", include_dashboard=False)
            break
        except Exception as error:
            if not left or "timed out during startup" not in str(error):
                raise
            half_started = set(psutil.Process().children()) - others
            for process in half_started:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(half_started)


def _initialise(address: str, **more: Any) -> None:
    quiet: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": logging.ERROR,
        "configure_logging": True,
    }
    ray.init(address=address, **quiet, **more)


def _knock(address: str) -> None:
    """Connects to ``host:port`` once; Ray would try for minutes if nobody answers."""
    place = urlsplit(f"//{address}")
    if place.hostname and place.port:
        socket.create_connection((place.hostname, place.port), CONNECT_SECONDS).close()


def concurrent_packs(budget: BudgetSection) -> int:
    """How many packs the connected cluster runs at once; none is spread over several nodes.

    Raises:
        ConfigError: if no node can run even one.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    asked = [
        ("cpus_per_pack", "CPU", budget.cpus_per_pack, 1, "CPUs"),
        ("gpus_per_pack", "GPU", budget.gpus_per_pack, 1, "GPUs"),
        ("memory_gib_per_pack", "memory", budget.memory_gib_per_pack, GIB, "GiB of memory"),
    ]
    room, problems = [math.inf] * len(nodes), []
    for key, kind, amount, unit, name in asked:
        if not amount:
            continue
        each = [node.get(kind, 0.0) / unit for node in nodes]
        if max(each) < amount:
            problems.append(
                f"budget.{key}: {amount:g}, but no node has more than {max(each):g} {name}"
            )
        room = [min(known, _times(there, amount)) for known, there in zip(room, each, strict=True)]
    if problems or not sum(room):
        raise ConfigError("cluster", problems or ["no node has all that `budget` asks for a pack"])
    return min(int(sum(room)), budget.concurrent_packs or int(sum(room)))


def _times(there: float, amount: float) -> int:
    """How often an amount fits; ``1 // 0.1`` is 9, for 0.1 is a little more than it says."""
    return math.floor(there / amount + 1e-9)
