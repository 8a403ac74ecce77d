"""Addresses of servers and databases: judged by their text, and told without their secrets."""

import re
from collections.abc import Mapping
from importlib.util import find_spec
from types import MappingProxyType
from urllib.parse import SplitResult, unquote, urlsplit

from trainables.wording import shown

SERVERS = ("http", "https")
TRACKING = (*SERVERS, "sqlite", "postgresql", "mysql", "mssql")
DRIVERS: Mapping[str, str] = MappingProxyType(
    {
        "sqlite": "sqlite3",
        "postgresql": "psycopg",
        "postgresql+psycopg": "psycopg",
        "postgresql+psycopg2": "psycopg2",
        "mysql": "MySQLdb",
        "mysql+mysqldb": "MySQLdb",
        "mysql+pymysql": "pymysql",
    }
)
"""Databases that can keep a study, and the module each is reached by."""
LONGEST_REASON = 200
_SECRET = re.compile(r"(?i)(?:passwo?r?d|pwd|secret|token)\s*=")


def tracking_problems(uri: str | None) -> list[str]:
    """What is wrong with a tracking address; empty if nothing, or if it is left to the study."""
    return _problems(
        "tracking.uri",
        uri,
        TRACKING,
        wrong="no address MLflow can track to",
        remedy="use http(s)://HOST:PORT, sqlite:///FILE or postgresql://HOST/NAME",
    )


def database_problems(uri: str | None) -> list[str]:
    """What is wrong with the address of a study's database; empty if nothing, or if it has none."""
    key = "storage.database"
    problems = _problems(
        key,
        uri,
        ("sqlite", "postgresql", "mysql"),
        wrong="no database a study can be kept in",
        remedy="use postgresql://HOST/NAME, mysql://HOST/NAME or sqlite:///FILE",
    )
    if uri is None or problems:
        return problems
    module = DRIVERS.get(urlsplit(uri).scheme)
    if module is None:
        return [f"{key}: must begin with one of {', '.join(DRIVERS)}, got {shown(uri)}"]
    if find_spec(module) is None:
        remedy = 'pip install "groupstudy[cluster]"' if module == "psycopg" else "install it"
        return [f"{key}: is reached by the Python module {module}, which is missing; {remedy}"]
    return []


def tells_password(parts: SplitResult) -> bool:
    """Whether an address holds a password: before its host, or among what it asks for."""
    return parts.password is not None or bool(_SECRET.search(unquote(parts.query)))


def without_secrets(text: str) -> str:
    """A text in which no address tells a user's name or password."""
    return re.sub(r"//[^/\s]*@", "//", text)


def reason(error: BaseException) -> str:
    """The first line of an error, short and fit to be shown."""
    lines = str(error).splitlines() or [type(error).__name__]
    text = without_secrets(lines[0])
    return text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]}..."


def _problems(
    key: str, uri: str | None, schemes: tuple[str, ...], *, wrong: str, remedy: str
) -> list[str]:
    if uri is None:
        return []
    told = shown(re.sub(r"^[^/\s]*@", "", without_secrets(uri)))
    try:
        parts = urlsplit(uri)
        has_host = bool(re.fullmatch(r"[\w.:%-]+", parts.hostname or "")) and parts.port != 0
    except ValueError as error:
        # What stands before an @ may be a password, and may have been taken for anything.
        details = "" if "@" in uri else f", {error}, got {told}"
        return [f"{key}: malformed{details}; {remedy}"]
    if tells_password(parts):
        return [f"{key}: holds a password, which would be written down; {_instead(parts.scheme)}"]
    scheme = parts.scheme.split("+")[0]
    if scheme == "sqlite":
        is_file = uri.startswith(f"{parts.scheme}:///") and parts.path not in ("/", "/:memory:")
        return [] if is_file and scheme in schemes else [f"{key}: {wrong}, got {told}; {remedy}"]
    return [] if has_host and scheme in schemes else [f"{key}: {wrong}, got {told}; {remedy}"]


def _instead(scheme: str) -> str:
    """Where a password belongs that an address must not hold."""
    if scheme in SERVERS:
        return (
            "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or write "
            "~/.mlflow/credentials"
        )
    if scheme.startswith("mysql"):
        return "write it to a file only you can read and name that as ?read_default_file=FILE"
    return "write it to ~/.pgpass, or to a file named by PGPASSFILE, that only you can read"
