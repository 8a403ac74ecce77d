"""What a head's user keeps; the database itself starts in ``make cluster-test``."""

import pytest

from study import head
from study.errors import ConfigError

FILES = (
    ".groupstudy/admin-password",
    ".groupstudy/database-password",
    ".mlflow/credentials",
    ".pgpass",
)


def contents(home):
    return {name: (home / name).read_text() for name in FILES}


def test_passwords_are_made_once_and_for_their_user_alone(tmp_path):
    head.keep_passwords(tmp_path)
    first = contents(tmp_path)
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in FILES} == {0o600}
    assert (tmp_path / ".groupstudy").stat().st_mode & 0o777 == 0o700
    assert len(first[FILES[0]]) >= 32
    assert first[FILES[0]] != first[FILES[1]]
    head.keep_passwords(tmp_path)
    assert contents(tmp_path) == first


def test_launches_and_the_server_find_them(tmp_path):
    head.keep_passwords(tmp_path)
    admin, database, credentials, pgpass = contents(tmp_path).values()
    assert f"mlflow_tracking_password = {admin}\n" in credentials
    assert pgpass.startswith(f"localhost:{head.PORT}:*:")
    assert pgpass.endswith(f":{database}\n")


def test_what_the_user_had_written_there_stays(tmp_path):
    (tmp_path / ".mlflow").mkdir()
    (tmp_path / ".mlflow" / "credentials").write_text("[mlflow]\n")
    (tmp_path / ".pgpass").write_text("*:*:*:me:mine\n")
    head.keep_passwords(tmp_path)
    assert (tmp_path / ".mlflow" / "credentials").read_text() == "[mlflow]\n"
    first, second = (tmp_path / ".pgpass").read_text().splitlines()
    assert first.startswith("localhost:")  # the first line that fits counts
    assert second == "*:*:*:me:mine"


def test_a_machine_without_postgresql_is_told_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(head, "BINARIES", str(tmp_path))
    with pytest.raises(ConfigError, match="apt-get install postgresql"):
        head.binaries()
