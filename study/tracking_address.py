"""Tracking addresses MLflow could reach; a look at the text, not at the server."""

import re
from urllib.parse import urlsplit

from trainables.wording import shown

DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
SERVERS = ("http", "https")


def address_problem(uri: str | None) -> list[str]:
    """What is wrong with a tracking address; empty if nothing, or if it is left to the study."""
    if uri is None:
        return []
    remedy = "use http(s)://HOST:PORT, sqlite:///FILE or postgresql://HOST/NAME"
    try:
        parts = urlsplit(uri)
        has_host = bool(re.fullmatch(r"[\w.:%-]+", parts.hostname or "")) and parts.port != 0
    except ValueError as error:
        return [f"tracking.uri: malformed, {error}, got {shown(uri)}; {remedy}"]
    scheme = parts.scheme.split("+")[0]
    if scheme in SERVERS and has_host:
        return []
    if scheme == "sqlite" and uri.startswith(f"{parts.scheme}:///") and parts.path != "/":
        return []
    if scheme in DATABASES[1:] and has_host:
        return []
    return [f"tracking.uri: no address MLflow can track to, got {shown(uri)}; {remedy}"]
