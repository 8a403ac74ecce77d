"""Notices that the head of a cluster is gone, and ends this process with one clear line.

Without its head a driver hears nothing more, and Ray ends the process after a minute, from outside
of Python. What is published by then is safe, and the next launch takes up the rest.
"""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from study import cluster_access
from study.command import same_again

CLUSTER_LOST = 2
PATIENCE_SECONDS = 30.0
BEAT_SECONDS = 3.0


@contextmanager
def watched(address: str) -> Iterator[None]:
    """Ends the process, as a study error does, once the head has been silent for half a minute.

    Args:
        address: ``host:port`` of the head.
    """
    ended = threading.Event()
    watcher = threading.Thread(target=_watch, args=(address, ended), name="head watch", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()


def _watch(address: str, ended: threading.Event) -> None:
    silent_since = None
    while not ended.wait(BEAT_SECONDS):
        if cluster_access.is_alive(address):
            silent_since = None
        elif silent_since is None:
            silent_since = time.monotonic()
        elif time.monotonic() - silent_since > PATIENCE_SECONDS and not ended.is_set():
            _end(address)


def _end(address: str) -> None:
    sys.stderr.write(
        f"Ray at {address}: the head of the cluster is gone; nothing that was published is lost, "
        f"`{same_again()}` continues\n"
    )
    sys.stderr.flush()
    # Nothing gentler: every other thread may wait for the head.
    os._exit(CLUSTER_LOST)
