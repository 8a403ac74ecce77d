import pytest

from study.addresses import (
    LONGEST_REASON,
    database_problems,
    reason,
    tracking_problems,
    without_secrets,
)

REMEDY = "use http(s)://HOST:PORT, sqlite:///FILE or postgresql://HOST/NAME"


@pytest.mark.parametrize(
    "uri",
    [
        None,
        "http://localhost:5000",
        "https://user@tracking.example.org/mlflow",
        "http://[::1]:5000",
        "sqlite:///mlflow.db",
        "sqlite:////var/lib/mlflow.db",
        "postgresql://user@host/mlflow",
        "postgresql+psycopg2://host:5432/mlflow",
        "mysql://host/mlflow",
    ],
)
def test_an_address_that_mlflow_could_reach_is_accepted(uri):
    assert tracking_problems(uri) == []


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "localhost:5000",
        "http://",
        "http://:5000",
        "http://host:0",
        "http://two words:5000",
        "htp://host:5000",
        "sqlite://mlflow.db",
        "sqlite:///",
        "postgresql://",
        "file:///tmp/mlruns",
        "./mlruns",
        "databricks",
    ],
)
def test_an_address_that_cannot_be_one_is_refused(uri):
    assert tracking_problems(uri) == [
        f"tracking.uri: no address MLflow can track to, got {uri!r}; {REMEDY}"
    ]


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("http://host:99999", "Port out of range 0-65535"),
        ("http://[::1", "Invalid IPv6 URL"),
    ],
)
def test_a_malformed_address_says_what_is_malformed(uri, reason):
    assert tracking_problems(uri) == [f"tracking.uri: malformed, {reason}, got {uri!r}; {REMEDY}"]


@pytest.mark.parametrize(
    ("uri", "instead"),
    [
        ("http://user:secret@host:5000", "MLFLOW_TRACKING_PASSWORD"),
        ("postgresql://user:secret@host/mlflow", "~/.pgpass"),
        ("postgresql://user@host/mlflow?sslmode=require&password=secret", "PGPASSFILE"),
        ("mysql+pymysql://user:secret@host/mlflow", "read_default_file"),
        ("mysql+pymysql://host/mlflow?passwd=secret", "read_default_file"),
        ("mssql://host/mlflow?odbc_connect=UID%3Dme%3BPWD%3Dsecret", "password"),
    ],
)
def test_a_password_is_refused_with_the_place_where_it_belongs_and_not_shown(uri, instead):
    (problem,) = tracking_problems(uri)
    assert problem.startswith("tracking.uri: holds a password, which would be written down; ")
    assert instead in problem
    assert "secret" not in problem


@pytest.mark.parametrize("uri", ["http://user:sec/ret@host", "htp://sec:ret@host", "sec:ret@host"])
def test_a_malformed_address_does_not_show_a_password(uri):
    (problem,) = tracking_problems(uri)
    assert "ret" not in problem.replace("secret", "")


@pytest.mark.parametrize(
    "uri",
    [
        None,
        "sqlite:////var/lib/study.db",
        "postgresql://host/study",
        "postgresql+psycopg://user@host:5432/study?sslmode=require&passfile=/etc/pass",
    ],
)
def test_a_database_that_can_keep_a_study_is_accepted(uri):
    assert database_problems(uri) == []


@pytest.mark.parametrize(
    ("uri", "problem"),
    [
        ("http://host:5000", "no database a study can be kept in"),
        ("mssql://host/study", "no database a study can be kept in"),
        ("study.db", "no database a study can be kept in"),
        ("sqlite:///:memory:", "no database a study can be kept in"),
        ("sqlite:///", "no database a study can be kept in"),
        ("postgresql:///study", "no database a study can be kept in"),
        ("postgresql://host:99999/study", "malformed, Port out of range 0-65535"),
        ("postgresql+asyncpg://host/study", "must begin with one of sqlite, postgresql, "),
        ("mysql://host/study", "is reached by the Python module MySQLdb, which is missing"),
        ("postgresql://user:secret@host/study", "holds a password, which would be written down"),
    ],
)
def test_a_database_that_cannot_keep_a_study_is_refused(uri, problem):
    (found,) = database_problems(uri)
    assert found.startswith(f"storage.database: {problem}")
    assert "secret" not in found


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://someone:secret@host:5000", "http://host:5000"),
        ("postgresql://someone@host/mlflow", "postgresql://host/mlflow"),
        ("http://host:5000/a@b", "http://host:5000/a@b"),
        (
            "cannot reach http://a:b@host and https://c:d@other now",
            "cannot reach http://host and https://other now",
        ),
        ("http://a:p@ss@host", "http://host"),
        ("sqlite:////home/me@work/mlflow.db", "sqlite:////home/me@work/mlflow.db"),
    ],
)
def test_names_and_passwords_are_left_out_of_addresses(text, shown):
    assert without_secrets(text) == shown


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("one\ntwo"), "one"),
        (ValueError(), "ValueError"),
        (ValueError("http://a:b@host is away"), "http://host is away"),
        (ValueError("x" * 300), "x" * LONGEST_REASON + "..."),
    ],
)
def test_a_reason_is_one_short_line(error, told):
    assert reason(error) == told
