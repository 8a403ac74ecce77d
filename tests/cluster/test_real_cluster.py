"""The shipped ``cluster.yaml`` on three hosts, from ``ray up`` to ``ray down``, one test a step.

``make cluster-test`` runs it: as root, on a machine with the programs that ``hosts.missing`` names.
"""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.cluster.hosts import ROOT, Laboratory, laboratory, missing

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif("STUDY_CLUSTER" not in os.environ, reason="`make cluster-test` runs it"),
]
WORKERS = ["worker-1", "worker-2"]
HOSTS = ["head", *WORKERS]
HEAD = "10.77.0.2:6379"
PATIENCE_SECONDS = 240
# Of each combination one confirmation, its untrained twin and an ensemble; and the raw points.
TRIALS, TESTED = 16, 7
STUDY = """
name: small
seed: 5
data: {source: digits, split: points, folds: 2}
search:
  encoder: {mlp: {width: 16, hidden: [32, 64], dropout: 0.0}}
  aggregator: {mean: {}, max: {}}
  loss: {triplet: {}}
  training: {epochs: 40, classes_per_batch: 10, group_size: [2, 3]}
budget: {trials_per_combination: 8, pack: 1, concurrent_packs: 4}
algorithm: {startup_trials: 3}
protocol: {sizes: [1, 3], draws: 2}
tracking: {uri: "http://127.0.0.1:5000"}
"""
LAUNCH = f"cd /srv/studies && study launch small.yaml --address {HEAD}"
ASK_MLFLOW = """
from collections import Counter
from mlflow import MlflowClient
client = MlflowClient("http://127.0.0.1:5000")
runs = client.search_runs([client.get_experiment_by_name("small").experiment_id], max_results=999)
print(dict(Counter(run.info.status for run in runs)))
"""
ASK_OPTUNA = """
from collections import Counter
import optuna
from study.record import Record
from study.storage import open_storage
from pathlib import Path
storage = open_storage(Record(Path("/srv/studies/studies/small")))
names = optuna.get_all_study_names(storage)
trials = [t for name in names for t in optuna.load_study(study_name=name, storage=storage).trials]
print(dict(Counter(trial.state.is_finished() for trial in trials)))
"""


@pytest.fixture(scope="module")
def lab():
    """The hosts after ``ray up``, with only addresses and key changed in ``cluster.yaml``."""
    lacking = missing()
    if lacking:
        pytest.fail(f"make cluster-test needs: {', '.join(lacking)}; see docs/cluster.md")
    began = time.monotonic()
    with laboratory(*HOSTS) as made:
        (made.folder / "cluster.yaml").write_text(
            _edited((ROOT / "cluster.yaml").read_text(), made)
        )
        token = f"umask 077; {sys.prefix}/bin/ray get-auth-token --generate > /dev/null"
        made.laptop.inside("bash", "-c", f"export HOME=/root; {token}", check=True)
        up = _ray(made, "up", "--yes", "--no-config-cache", str(made.folder / "cluster.yaml"))
        assert up.returncode == 0, up.stdout + up.stderr
        _wait_for(lambda: len(_nodes(made)) == len(HOSTS), "not all nodes came up")
        seconds = time.monotonic() - began
        _tell(f"started: a laptop, a head, {len(WORKERS)} workers, {seconds:.0f} s with `ray up`")
        # For the browser and `ray job submit`: what listens on the head's loopback address.
        forward = [part for port in (8265, 5000) for part in ("-L", f"{port}:127.0.0.1:{port}")]
        wait = made.login("head", "sleep infinity", *forward)
        tunnel = subprocess.Popen(wait, stderr=subprocess.DEVNULL)
        _wait_for(lambda: _status(made, 8265) == 200, "no tunnel to the dashboard")
        yield made
        tunnel.kill()
        tunnel.wait()
    _tell(f"all of it: {time.monotonic() - began:.0f} s")


def _tell(line: str) -> None:
    """Shown by ``make cluster-test`` while it runs."""
    sys.stderr.write(f"\n[{time.strftime('%X')}] {line}\n")


def _edited(text: str, lab: Laboratory) -> str:
    addresses = {name: host.address for name, host in lab.hosts.items()}
    for before, after in {
        "head_ip: 10.0.0.1": f"head_ip: {addresses['head']}",
        "[10.0.0.2, 10.0.0.3]": json.dumps([addresses[name] for name in WORKERS]),
        "~/.ssh/id_ed25519": "~/.ssh/id",
    }.items():
        assert text.count(before) == 1
        text = text.replace(before, after)
    return text


def _ray(lab: Laboratory, *words: str) -> subprocess.CompletedProcess[str]:
    """``ray`` on the laptop."""
    settings = ["HOME=/root", "RAY_AUTH_MODE=token", "RAY_USAGE_STATS_ENABLED=0"]
    ray = f"{sys.prefix}/bin/ray"
    return lab.laptop.inside("env", *settings, ray, *words, timeout=PATIENCE_SECONDS)


def _nodes(lab: Laboratory) -> dict[str, str]:
    """Address of every node that is alive, by its identity."""
    listed = lab.ssh("head", "ray list nodes --filter state=ALIVE --format json")
    nodes = json.loads(listed.stdout) if listed.returncode == 0 else []
    return {node["node_id"]: node["node_ip"] for node in nodes}


def _packs(lab: Laboratory, *filters: str) -> Counter[str]:
    """How many processes of packs there are, or were, on each node."""
    chosen = " ".join(f"--filter {condition}" for condition in filters)
    listed = lab.ssh("head", f"ray list actors --detail --limit 1000 {chosen} --format json")
    actors = json.loads(listed.stdout) if listed.returncode == 0 else []
    return Counter(a["node_id"] for a in actors if "Trainable" in a["class_name"] and a["node_id"])


def _status(lab: Laboratory, port: int, path: str = "/", *options: str) -> int:
    """What a server on the head's loopback address says to a browser on the laptop."""
    curl = ["curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}", *options]
    return int(lab.laptop.inside(*curl, f"http://127.0.0.1:{port}{path}").stdout)


def _wait_for(is_so, otherwise: str | Path) -> None:
    """Waits; what is said otherwise may be a file that is still written."""
    until = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        if time.monotonic() > until:
            pytest.fail(otherwise.read_text() if isinstance(otherwise, Path) else otherwise)
        time.sleep(1)


def _python(lab: Laboratory, program: str) -> str:
    asked = lab.ssh("head", "~/groupstudy/.venv/bin/python -", input=program)
    assert asked.returncode == 0, asked.stderr
    return asked.stdout.strip()


def _results(lab: Laboratory) -> list[Path]:
    return list(lab.studies.glob("studies/small/trials/*/result.json"))


def _secrets(lab: Laboratory) -> list[str]:
    shown = lab.ssh(
        "head", "cat ~/.ray/auth_token; for f in ~/.groupstudy/*-password; do echo; cat $f; done"
    )
    found = shown.stdout.split()
    assert len(found) == 3
    return found


def test_every_host_has_the_program_and_the_token_for_its_user_alone(lab):
    for host in HOSTS:
        found = lab.ssh(host, "study --version; stat -c %a ~/.ray/auth_token /tmp/ray-$USER")
        assert found.stdout.split()[-2:] == ["600", "700"], found
        assert "version" in found.stdout


def test_dashboard_mlflow_and_database_listen_on_the_heads_loopback_address(lab):
    listening = lab.ssh("head", "ss --listening --tcp --numeric --no-header | tr -s ' '").stdout
    places = [line.split()[3] for line in listening.splitlines()]
    for port in (8265, 5000, 5433):
        found = {place.rsplit(":", 1)[0] for place in places if place.endswith(f":{port}")}
        assert found
        assert found <= {"127.0.0.1", "[::1]"}


@pytest.mark.parametrize("token", ["/dev/null", "/tmp/wrong"])
def test_a_launch_with_a_wrong_token_or_none_is_refused(lab, token):
    lab.ssh("head", "echo wrong > /tmp/wrong")
    (lab.studies / "small.yaml").write_text(STUDY)
    ended = lab.ssh("head", f"export RAY_AUTH_TOKEN_PATH={token}; {LAUNCH}")
    assert ended.returncode == 2
    assert "a client needs both RAY_AUTH_MODE=token and the cluster's token" in ended.stderr


def test_a_job_without_the_token_is_refused(lab):
    job = ["--data", '{"entrypoint": "id"}', "--header", "Content-Type: application/json"]
    assert _status(lab, 8265, "/api/jobs/", *job) == 401
    assert _status(lab, 8265, "/api/jobs/", *job, "--header", "Authorization: Bearer wrong") == 403


def test_mlflow_answers_its_password_and_its_own_names_alone(lab):
    path = "/api/2.0/mlflow/experiments/search?max_results=1"
    _wait_for(lambda: _status(lab, 5000, "/health") == 200, "MLflow did not start")
    password = lab.ssh("head", "cat ~/.groupstudy/admin-password").stdout
    assert _status(lab, 5000, path) == 401
    assert _status(lab, 5000, path, "--user", "admin:wrong password") == 401
    assert _status(lab, 5000, path, "--user", f"admin:{password}") == 200
    foreign = ["--header", "Host: evil.example"]
    assert _status(lab, 5000, path, "--user", f"admin:{password}", *foreign) == 403


def test_a_folder_that_one_host_alone_sees_is_refused(lab):
    # Of another name: MLflow has heard of it by then.
    (lab.studies / "lone.yaml").write_text(STUDY.replace("name: small", "name: lone"))
    launch = LAUNCH.replace("small.yaml", "lone.yaml")
    ended = lab.ssh("head", f"{launch} --root ~/studies")
    assert ended.returncode == 2, ended.stderr
    for host in WORKERS:
        assert (
            f"node {lab.hosts[host].address}: does not see /home/study/studies/lone" in ended.stderr
        )
    assert f"node {lab.hosts['head'].address}" not in ended.stderr


def test_a_study_over_all_hosts_survives_that_one_is_cut_off(lab):
    began = time.monotonic()
    log = lab.folder / "launch.log"
    with log.open("w") as file:
        launched = subprocess.Popen(lab.login("head", LAUNCH), stdout=file, stderr=file)
    _wait_for(lambda: len(_results(lab)) >= 2 or launched.poll() is not None, log)
    assert launched.poll() is None, log.read_text()
    nodes, running = _nodes(lab), _packs(lab, "state=ALIVE")
    assert len(running) >= 2, running
    lost = next(h for h in WORKERS if lab.hosts[h].address in {nodes[node] for node in running})
    lab.cut(lost)
    cut = time.monotonic()
    _wait_for(lambda: len(_nodes(lab)) == len(HOSTS) - 1, "the loss was not noticed")
    noticed = time.monotonic()
    assert launched.poll() is None, "the study ended before the loss was noticed"
    _wait_for(lambda: launched.poll() is not None, log)
    lab.mend(lost)
    assert launched.returncode == 0, log.read_text()
    assert len(_results(lab)) == TRIALS + TESTED
    states = Counter(json.loads(path.read_text())["outcome"]["state"] for path in _results(lab))
    assert states["failed"] == 0
    assert _python(lab, ASK_OPTUNA) == str({True: TRIALS})
    assert _python(lab, ASK_MLFLOW) == str({"FINISHED": 1 + TRIALS + TESTED})
    assert len(_packs(lab)) >= 2
    _tell(
        f"study on {len(running)} hosts: {time.monotonic() - began:.0f} s; {lost} "
        f"cut off after {cut - began:.0f} s, which was noticed {noticed - cut:.0f} s later"
    )


def test_a_laptop_launches_through_a_job(lab):
    before = {path: path.stat().st_mtime_ns for path in _results(lab)}
    program = "/home/study/groupstudy/.venv/bin/study"
    launch = [program, "launch", "/srv/studies/small.yaml", "--root", "/srv/studies/studies"]
    submit = ["job", "submit", "--address", "http://127.0.0.1:8265", "--", *launch]
    ended = _ray(lab, *submit, "--address", "auto")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "succeeded" in ended.stdout + ended.stderr
    assert {path: path.stat().st_mtime_ns for path in _results(lab)} == before


def test_no_secret_is_in_a_command_a_log_or_a_record(lab):
    shown = [lab.ssh(host, "ps -ww -eo args").stdout for host in HOSTS]
    logs = "cat ~/.groupstudy/*.log; cat /tmp/ray-$USER/r/session_latest/logs/*.*"
    shown += [lab.ssh(host, f"{logs} 2> /dev/null", errors="replace").stdout for host in HOSTS]
    assert all(shown)
    kept = [path.read_bytes() for path in lab.studies.rglob("*") if path.is_file()]
    tables = "PGPASSFILE=~/.pgpass /usr/lib/postgresql/*/bin/pg_dump -h localhost -p 5433 mlflow"
    dumped = lab.ssh("head", tables, errors="replace")
    assert "CREATE TABLE public.runs" in dumped.stdout
    for secret in _secrets(lab):
        assert secret not in dumped.stdout
        assert not [text for text in shown if secret in text]
        assert not [content for content in kept if secret.encode() in content]


def test_ray_down_leaves_the_database_and_mlflow_and_no_ray(lab):
    down = _ray(lab, "down", "--yes", str(lab.folder / "cluster.yaml"))
    assert down.returncode == 0, down.stdout + down.stderr
    for host in HOSTS:
        _wait_for(lambda h=host: lab.ssh(h, "pgrep raylet").returncode == 1, f"{host} has a raylet")
    assert lab.ssh("head", "pgrep -f '[m]lflow server' && pgrep postgres").returncode == 0
