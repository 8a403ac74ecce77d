import pytest

from study.tracking_address import address_problem

REMEDY = "use http(s)://HOST:PORT, sqlite:///FILE or postgresql://HOST/NAME"


@pytest.mark.parametrize(
    "uri",
    [
        None,
        "http://localhost:5000",
        "https://user:secret@tracking.example.org/mlflow",
        "http://[::1]:5000",
        "sqlite:///mlflow.db",
        "sqlite:////var/lib/mlflow.db",
        "postgresql://user@host/mlflow",
        "postgresql+psycopg2://host:5432/mlflow",
        "mysql://host/mlflow",
    ],
)
def test_an_address_that_mlflow_could_reach_is_accepted(uri):
    assert address_problem(uri) == []


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
    assert address_problem(uri) == [
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
    assert address_problem(uri) == [f"tracking.uri: malformed, {reason}, got {uri!r}; {REMEDY}"]
