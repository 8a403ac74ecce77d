"""One local cluster for all, clusters of others, and addresses where none is."""

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import ray
from ray._raylet import AuthenticationTokenLoader

from study import cluster_access, cluster_nodes
from study.cluster import GIB, _times, concurrent_packs, connected
from study.config import BudgetSection
from study.errors import ConfigError
from tests.level import everything
from tests.study.launches import write_study
from tests.study.mlflow_contents import free_port
from tests.study.ray_heads import heads, node
from trainables import gpu, node_files, sources
from trainables.data import digits

pytestmark = pytest.mark.ray
LIMIT_SECONDS = 60
CPUS = os.cpu_count()


@pytest.fixture(scope="module")
def cluster():
    """A cluster of our own, connected to, with a home of its own: where it lies, what it has."""
    with pytest.MonkeyPatch.context() as patch:
        # Not under pytest's folder: Ray's socket names would become longer than the kernel allows.
        temporary = tempfile.mkdtemp(prefix="gs-", dir="/tmp")
        patch.setenv("RAY_TMPDIR", temporary)
        patch.setenv("HOME", temporary)
        patch.delenv("RAY_AUTH_TOKEN_PATH", raising=False)
        AuthenticationTokenLoader.instance().reset_cache()
        with connected(None):
            yield Path(temporary), ray.cluster_resources()
        assert not list(Path(temporary).glob("ray-*"))
        shutil.rmtree(temporary, ignore_errors=True)
    # The token of that home must not be shown to the clusters of other tests.
    AuthenticationTokenLoader.instance().reset_cache()
    assert not ray.is_initialized()


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    """A cluster that asks for a token, one that asks for none, and the file with the token."""
    token = tmp_path_factory.mktemp("token") / "token"
    token.write_text(secrets.token_hex(32))
    closed = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        node_files.VARIABLE: str(token.with_name("points")),
    }
    with heads(closed, {"RAY_AUTH_MODE": "disabled"}) as (closed_head, open_head):
        yield closed_head, open_head, token


@pytest.fixture
def show(monkeypatch, tmp_path):
    """Makes this process show a token, or none."""

    def show(token: str | None, mode: str = "token") -> Path:
        path = tmp_path / "shown"
        path.write_text(token or "")
        monkeypatch.setenv("RAY_AUTH_MODE", mode)
        monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(path))
        AuthenticationTokenLoader.instance().reset_cache()
        return path

    yield show
    AuthenticationTokenLoader.instance().reset_cache()


def refused(address):
    """The error of connecting to an address, which must come soon."""
    began = time.monotonic()
    with pytest.raises(ConfigError) as caught, connected(address):
        pass
    assert time.monotonic() - began < LIMIT_SECONDS
    return str(caught.value)


@pytest.mark.parametrize("form", ["127.0.0.1:{}", "[::1]:{}"])
def test_an_address_where_nobody_answers_is_refused_in_seconds(form):
    address = form.format(free_port())
    assert refused(address).startswith(f"--address {address}: no Ray cluster answers: ")


@pytest.mark.parametrize("address", ["nonsense", "host:port", "127.0.0.1:99999", "://"])
def test_what_is_no_address_is_refused(address):
    assert refused(address).startswith(f"--address {address}: no Ray cluster answers: ")


def test_an_address_of_ray_client_is_refused_with_what_to_do_instead():
    assert refused("ray://head:10001") == (
        "--address ray://head:10001: is for Ray Client, which cannot run a study; "
        "`ray job submit` can"
    )


def test_a_cluster_that_cannot_be_started_is_told_without_an_address(monkeypatch, tmp_path):
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / ("long" * 25)))
    assert refused(None).startswith("Ray: cannot be started here: ")


def test_an_open_cluster_is_refused(others, show):
    _, head, token = others
    show(token.read_text())
    assert refused(head.address).startswith(f"--address {head.address}: is open: ")


@pytest.mark.parametrize(
    ("token", "mode", "reason"),
    [
        (None, "token", "asks for a token, and this client has none"),
        ("0" * 64, "token", "refuses this client's token"),
        ("right", "disabled", "asks for a token, and RAY_AUTH_MODE keeps"),
    ],
)
def test_a_client_without_the_right_token_is_told_in_seconds_what_it_needs(
    others, show, token, mode, reason
):
    head, _, right = others
    show(right.read_text() if token == "right" else token, mode)
    message = refused(head.address)
    assert reason in message
    assert "RAY_AUTH_MODE=token and the cluster's token" in message


@everything
def test_a_refused_launch_is_the_users_mistake(others, tmp_path):
    head, _, _ = others
    wrong = tmp_path / "wrong"
    wrong.write_text("0" * 64)
    launch = [sys.executable, "-m", "study", "launch", str(write_study(tmp_path))]
    ended = subprocess.run(
        [*launch, "--address", head.address, "--root", str(tmp_path / "studies")],
        env={**os.environ, "RAY_AUTH_TOKEN_PATH": str(wrong)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"--address {head.address}: refuses this client's token")
    assert "0" * 64 not in ended.stderr + ended.stdout


@everything
def test_every_node_that_lacks_something_is_named(others, show, monkeypatch, tmp_path):
    head, _, token = others
    show(token.read_text())
    with connected(head.address):
        monkeypatch.setattr(cluster_nodes, "version", lambda name: "9.9.9")
        cluster_nodes.refuse_unless_ready(tmp_path)  # the driver's own node alone is not asked
        with node(head, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN_PATH=str(token)):
            until = time.monotonic() + 60
            while len(ray.nodes()) < 2:
                assert time.monotonic() < until, "the node did not join"
                time.sleep(0.2)
            with pytest.raises(ConfigError) as caught:
                cluster_nodes.refuse_unless_ready(tmp_path)
            monkeypatch.undo()
            cluster_nodes.refuse_unless_ready(tmp_path)
    assert len(caught.value.problems) == 2
    for problem in caught.value.problems:
        assert problem.endswith(", the launch 9.9.9; install the same one on every node")
    assert not list(tmp_path.glob(".seen-*"))


@everything
def test_every_node_that_cannot_map_large_points_is_named(others, show, monkeypatch, tmp_path):
    head, _, token = others
    show(token.read_text())
    monkeypatch.setattr(sources, "MAPPED_SHARE", 0.0)
    monkeypatch.setenv(node_files.VARIABLE, str(tmp_path / "driver"))
    path = tmp_path / "points.parquet"
    sources.write_parquet(digits(), path)
    points = sources.read_parquet(path)
    shown = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
    with connected(head.address):
        for name, is_right in (("node", True), ("points.parquet", False)):
            with node(head, **shown, **{node_files.VARIABLE: str(tmp_path / name)}):
                if is_right:
                    cluster_nodes.refuse_unless_mapped(points)
                    assert list((tmp_path / name).glob("points-*/points.npy"))
                    continue
                with pytest.raises(ConfigError) as caught:
                    cluster_nodes.refuse_unless_mapped(points)
    (problem,) = caught.value.problems
    assert f": {path}: on " in problem
    assert f"cannot be kept in {path}: " in problem
    cluster_nodes.refuse_unless_mapped(digits())  # travel themselves


def test_without_an_address_the_whole_machine_is_the_cluster(cluster):
    assert cluster[1]["CPU"] == CPUS


def test_the_token_and_the_files_of_our_own_cluster_are_for_its_user_alone(cluster):
    home, _ = cluster
    assert (home / ".ray" / "auth_token").stat().st_mode & 0o777 == 0o600
    assert len((home / ".ray" / "auth_token").read_text()) == 64
    (folder,) = home.glob("ray-*")
    assert folder.stat().st_mode & 0o777 == 0o700


def test_our_own_cluster_lets_in_whoever_holds_its_token_and_nobody_else(cluster, monkeypatch):
    address = ray.get_runtime_context().gcs_address
    assert cluster_access.is_alive(address)
    monkeypatch.setattr(cluster_access, "_header", dict)
    assert not cluster_access.is_alive(address)


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


@pytest.mark.parametrize("packs", [1, 3, 5, 7, 10, 20, 49, 80])
def test_as_many_packs_fit_into_a_gpu_as_its_share_was_measured_for(packs):
    peak = ((80 / packs) - 1.001) / 1.25
    assert _times(1.0, gpu.share_of(int(max(0, peak) * GIB), 80 * GIB)) == packs


def test_every_resource_that_the_cluster_lacks_is_told_at_once(cluster):
    _, resources = cluster
    with pytest.raises(ConfigError) as caught:
        concurrent_packs(BudgetSection(cpus_per_pack=CPUS + 1, gpus_per_pack=1000.5))
    gpus = f"{resources.get('GPU', 0):g}"
    assert caught.value.problems == [
        f"budget.cpus_per_pack: {CPUS + 1}, but no node has more than {CPUS} CPUs",
        f"budget.gpus_per_pack: 1000.5, but no node has more than {gpus} GPUs",
    ]
