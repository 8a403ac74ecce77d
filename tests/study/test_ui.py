"""Real servers on the loopback address, in processes of their own: open and guarded."""

import base64
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from study.errors import ConfigError, RecordError
from study.ui import Service, serve
from tests.study import finished_studies
from tests.study.mlflow_contents import free_port

PATIENCE_SECONDS = 90
# A server bound to every address of the machine would answer here too.
OTHER_ADDRESS = "127.0.0.2"
PASSWORD = "correct horse battery"
SEARCH = "/api/2.0/mlflow/experiments/search?max_results=9"
CREATE = "/api/2.0/mlflow/experiments/create"


@contextmanager
def serving(root, *options):
    """``study ui`` over a folder of studies, once it answers: its port and its process."""
    port = free_port()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "study", "ui", "--root", str(root), "--port", str(port)),
            *options,
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        until = time.monotonic() + PATIENCE_SECONDS
        while not answers("127.0.0.1", port):
            assert process.poll() is None, "the server ended"
            assert time.monotonic() < until, "the server did not start"
            time.sleep(0.2)
        yield port, process.pid
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The port at which ``study ui`` serves a folder of studies to this machine."""
    root = tmp_path_factory.mktemp("studies and more")
    finished_studies.copy(root, phase="nothing")
    with serving(root) as (port, _):
        yield port


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """The same behind a password: port, process, and the folder of the password file."""
    root = tmp_path_factory.mktemp("studies")
    finished_studies.copy(root, phase="nothing")
    file = password_file(tmp_path_factory.mktemp("100% private"))
    with serving(root, "--password-file", str(file)) as (port, process):
        yield port, process, file.parent


def password_file(folder: Path, text: str = PASSWORD, mode: int = 0o600) -> Path:
    folder.chmod(0o700)
    file = folder / "password"
    file.write_text(text + "\n")
    file.chmod(mode)
    return file


def answers(host, port):
    try:
        return urllib.request.urlopen(f"http://{host}:{port}/health", timeout=5).read() == b"OK"
    except OSError:
        return False


def status(port, path=SEARCH, login=None, content=None, **headers):
    """What the server makes of a request."""
    if login:
        headers["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
    data = json.dumps(content).encode() if content else None
    if data:
        headers["Content-Type"] = "application/json"
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, headers)
    try:
        return urllib.request.urlopen(request, timeout=30).status
    except urllib.error.HTTPError as error:
        return error.code


def test_the_database_of_the_folder_is_served(served):
    with urllib.request.urlopen(f"http://127.0.0.1:{served}{SEARCH}", timeout=30) as answer:
        found = json.load(answer)["experiments"]
    assert [experiment["name"] for experiment in found] == ["Default"]


def test_only_the_loopback_address_answers(served):
    assert answers("127.0.0.1", served)
    assert not answers(OTHER_ADDRESS, served)


@pytest.mark.parametrize("host", ["evil.example", "192.168.1.5:5000", "127.0.0.1:1"])
def test_a_name_that_a_foreign_page_gave_this_machine_is_refused(served, guarded, host):
    assert status(served, Host=host) == 403
    assert status(guarded[0], login=f"admin:{PASSWORD}", Host=host) == 403


def test_a_foreign_page_cannot_change_anything(served, guarded):
    for port, login in ((served, None), (guarded[0], f"admin:{PASSWORD}")):
        wanted = {"login": login, "content": {"name": "foreign"}}
        assert status(port, CREATE, Origin="http://evil.example", **wanted) == 403
        own = f"http://127.0.0.1:{port}"
        assert status(port, CREATE, Origin=own, **{**wanted, "content": {"name": "own"}}) == 200


@pytest.mark.parametrize("login", [None, "admin:wrong", "admin:password1234", "other:x", ":"])
@pytest.mark.parametrize("path", ["/", SEARCH, "/api/2.0/mlflow-artifacts/artifacts", "/graphql"])
def test_without_the_password_nothing_is_shown(guarded, login, path):
    assert status(guarded[0], path, login) == 401


def test_with_the_password_everything_is_shown(guarded):
    assert status(guarded[0], login=f"admin:{PASSWORD}") == 200


def test_whoever_is_no_administrator_sees_nothing_of_others(guarded):
    port = guarded[0]
    admin = f"admin:{PASSWORD}"
    content = {"username": "guest", "password": "a guest's password"}
    assert status(port, "/api/2.0/mlflow/users/create", admin, content) == 200
    guest = "guest:a guest's password"
    assert status(port, "/api/2.0/mlflow/experiments/get?experiment_id=0", admin) == 200
    assert status(port, "/api/2.0/mlflow/experiments/get?experiment_id=0", guest) == 403


def test_the_password_is_on_no_command_line(guarded):
    server = psutil.Process(guarded[1])
    for process in (server, *server.children(recursive=True)):
        assert PASSWORD not in " ".join(process.cmdline())


def test_what_the_server_keeps_is_for_its_user_alone(guarded):
    kept = {path.name: path.stat().st_mode & 0o777 for path in guarded[2].iterdir()}
    assert kept == dict.fromkeys(
        ("password", "mlflow-access.ini", "mlflow-secret-key", "mlflow-users.db"), 0o600
    )


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.2", "::", "head.example"])
def test_a_public_address_without_a_password_is_refused(tmp_path, host):
    with pytest.raises(ConfigError) as caught:
        serve(Service(tmp_path, host=host))
    assert str(caught.value) == (
        "study ui: --host: others could read and change every study; give --password-file, or "
        "listen at 127.0.0.1 and use an ssh tunnel"
    )


@pytest.mark.parametrize(
    ("text", "mode", "folder_mode", "reason"),
    [
        ("short", 0o600, 0o700, "has fewer than 12 characters"),
        (PASSWORD, 0o644, 0o700, "others may read it; `chmod 600 "),
        (PASSWORD, 0o600, 0o755, "others may enter its folder"),
        (None, 0o600, 0o700, "cannot be read: "),
    ],
)
def test_a_password_that_protects_nothing_is_refused(tmp_path, text, mode, folder_mode, reason):
    file = password_file(tmp_path, text or "", mode)
    if text is None:
        file.unlink()
    tmp_path.chmod(folder_mode)
    with pytest.raises(ConfigError, match=reason) as caught:
        serve(Service(tmp_path, host="0.0.0.0", password_file=file))
    assert len(caught.value.problems) == 1
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize("form", ["study:{}@host/mlflow", "host/mlflow?user=study&password={}"])
def test_a_password_in_the_address_of_the_database_is_refused(tmp_path, form):
    with pytest.raises(ConfigError, match=r"put it into ~/\.pgpass") as caught:
        serve(Service(tmp_path, database="postgresql://" + form.format("hidden")))
    assert "hidden" not in str(caught.value)


def test_a_folder_where_nothing_was_tracked_is_refused(tmp_path):
    with pytest.raises(RecordError) as caught:
        serve(Service(tmp_path))
    assert str(caught.value) == (
        f"{tmp_path}: holds no MLflow database; launch a study there first"
    )
    assert list(tmp_path.iterdir()) == []
