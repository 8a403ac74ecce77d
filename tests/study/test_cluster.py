"""One local cluster for all, and addresses where none is."""

import os
import shutil
import tempfile
import time

import pytest
import ray

from study.cluster import concurrent_packs, connected
from study.config import BudgetSection
from study.errors import ConfigError
from tests.study.mlflow_contents import free_port

pytestmark = pytest.mark.ray
LIMIT_SECONDS = 10
CPUS = os.cpu_count()


@pytest.fixture(scope="module")
def cluster():
    """A cluster of our own, connected to."""
    with pytest.MonkeyPatch.context() as patch:
        # Not under pytest's folder: Ray's socket names would become longer than the kernel allows.
        temporary = tempfile.mkdtemp(prefix="gs-", dir="/tmp")
        patch.setenv("RAY_TMPDIR", temporary)
        with connected(None):
            yield ray.cluster_resources()
        shutil.rmtree(temporary, ignore_errors=True)
    assert not ray.is_initialized()


def refused(address):
    """The error of connecting to an address, which must come soon."""
    began = time.monotonic()
    with pytest.raises(ConfigError) as caught, connected(address):
        pass
    assert time.monotonic() - began < LIMIT_SECONDS
    return str(caught.value)


@pytest.mark.parametrize("form", ["127.0.0.1:{}", "ray://127.0.0.1:{}", "[::1]:{}"])
def test_an_address_where_nobody_answers_is_refused_in_seconds(form):
    address = form.format(free_port())
    assert refused(address).startswith(f"--address {address}: no Ray cluster answers: ")


@pytest.mark.parametrize("address", ["nonsense", "host:port", "127.0.0.1:99999", "://"])
def test_what_is_no_address_is_refused(address):
    assert refused(address).startswith(f"--address {address}: no Ray cluster answers: ")


def test_a_cluster_that_cannot_be_started_is_told_without_an_address(monkeypatch, tmp_path):
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / ("long" * 25)))
    assert refused(None).startswith("Ray: cannot be started here: ")


def test_without_an_address_the_whole_machine_is_the_cluster(cluster):
    assert cluster["CPU"] == CPUS


@pytest.mark.parametrize(
    ("budget", "packs"),
    [
        ({}, CPUS),
        ({"cpus_per_pack": CPUS}, 1),
        ({"concurrent_packs": 1}, 1),
        ({"concurrent_packs": CPUS + 1}, CPUS),
    ],
)
def test_as_many_packs_run_at_once_as_there_is_room_for_and_no_more_than_asked(
    cluster, budget, packs
):
    assert concurrent_packs(BudgetSection(**budget)) == packs


def test_every_resource_that_the_cluster_lacks_is_told_at_once(cluster):
    with pytest.raises(ConfigError) as caught:
        concurrent_packs(BudgetSection(cpus_per_pack=CPUS + 1, gpus_per_pack=1000.5))
    gpus = f"{cluster.get('GPU', 0):g}"
    assert caught.value.problems == [
        f"budget.cpus_per_pack: {CPUS + 1}, but the cluster has {CPUS} CPUs",
        f"budget.gpus_per_pack: 1000.5, but the cluster has {gpus} GPUs",
    ]
