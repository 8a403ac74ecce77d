"""Who may use a Ray cluster: holders of its token, and nobody where none is asked for."""

import os
import secrets
from importlib import import_module
from pathlib import Path
from typing import Any

import grpc
from ray._private.authentication.authentication_utils import is_token_auth_enabled
from ray._private.services import canonicalize_bootstrap_address_or_die
from ray.exceptions import AuthenticationError

from study.errors import ConfigError

# Its own type stubs do not tell what it holds.
_raylet: Any = import_module("ray._raylet")

ANSWER_SECONDS = 5.0
QUESTION = "/ray.rpc.NodeInfoGcsService/CheckAlive"
"""What a head is asked; an empty message is a whole question."""
WHAT_A_CLIENT_NEEDS = (
    "a client needs both RAY_AUTH_MODE=token and the cluster's token, in ~/.ray/auth_token "
    "(or where RAY_AUTH_TOKEN_PATH says, or in RAY_AUTH_TOKEN)"
)
OPEN = (
    "is open: it asks nobody for a token, and whoever reaches it may run programs there; "
    "start every node with RAY_AUTH_MODE=token and the same token file, as cluster.yaml does"
)


def located(address: str) -> str:
    """``host:port`` of a cluster's head; ``auto`` is the cluster this machine is a node of.

    Raises:
        ConnectionError: if it says ``auto`` and there is none.
        ValueError: if it is no address.
    """
    return str(canonicalize_bootstrap_address_or_die(address))


def refuse_unless_closed(address: str, place: str) -> None:
    """Lets only those pass who hold the token of a cluster that asks for one.

    Ray itself joins an open cluster without a word, and tries for half a minute where a token is
    wrong. A head answers the question of this function in milliseconds.

    Args:
        address: ``host:port`` of the head.
        place: what the user called it, for messages.

    Raises:
        ConnectionError: if no head answers.
        ConfigError: if the cluster is open, or refuses what this client has.
    """
    if _answer(address, {}) is grpc.StatusCode.OK:
        raise ConfigError(place, [OPEN])
    read_settings()
    problem = _client_problem(address)
    if problem:
        raise ConfigError(place, [f"{problem}; {WHAT_A_CLIENT_NEEDS}"])


def is_alive(address: str) -> bool:
    """Whether the head of a cluster that this process may use answers."""
    try:
        return _answer(address, _header()) is grpc.StatusCode.OK
    except (ConnectionError, AuthenticationError):
        return False


def read_settings() -> None:
    """Has Ray read its settings again: it may have been imported before they were made."""
    _raylet.Config.initialize("")


def keep_token_private() -> None:
    """Makes the token of clusters on this machine, where there is none, and hides it from others.

    Ray would write it for everybody to read. The mode is not the user's to choose here: nobody
    else has to join.
    """
    os.environ["RAY_AUTH_MODE"] = "token"
    read_settings()
    try:
        is_known = _raylet.AuthenticationTokenLoader.instance().has_token(ignore_auth_mode=True)
    except AuthenticationError:
        is_known = False
    path = Path.home() / ".ray" / "auth_token"
    if not is_known:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(secrets.token_hex(32))
        _raylet.AuthenticationTokenLoader.instance().reset_cache()
    if path.exists():
        path.chmod(0o600)


def _client_problem(address: str) -> str:
    """Why the cluster would not let this process in, or nothing."""
    if not is_token_auth_enabled():
        return "asks for a token, and RAY_AUTH_MODE keeps this client from showing one"
    try:
        header = _header()
    except AuthenticationError:
        return "asks for a token, and this client has none"
    if _answer(address, header) is grpc.StatusCode.OK:
        return ""
    return "refuses this client's token: it belongs to another cluster"


def _header() -> dict[str, str]:
    header: dict[str, str] = (
        _raylet.AuthenticationTokenLoader.instance().get_token_for_http_header()
    )
    return header


def _answer(address: str, header: dict[str, str]) -> grpc.StatusCode:
    """What a head says to a client with such a header: OK or UNAUTHENTICATED."""
    with grpc.insecure_channel(address) as channel:
        try:
            channel.unary_unary(QUESTION)(b"", ANSWER_SECONDS, tuple(header.items()))
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.UNAUTHENTICATED:
                raise ConnectionError(error.details()) from error
            return grpc.StatusCode.UNAUTHENTICATED
    return grpc.StatusCode.OK
