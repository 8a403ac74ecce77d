"""A Ray cluster of this machine for some tests."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def local_ray(**resources: Any) -> Iterator[Any]:
    """Starts a cluster that claims these resources, in a folder of its own; yields the module."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    # Not under pytest's folder: Ray's socket names would become longer than the kernel allows.
    with tempfile.TemporaryDirectory(prefix="r", dir="/tmp", ignore_cleanup_errors=True) as folder:
        ray.init(
            address="local",
            include_dashboard=False,
            log_to_driver=False,
            _temp_dir=folder,
            **resources,
        )
        try:
            yield ray
        finally:
            ray.shutdown()
