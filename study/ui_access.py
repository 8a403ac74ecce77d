"""Who may use a served MLflow: its users and their passwords, in one folder of one user."""

import secrets
from pathlib import Path
from typing import final

SHORTEST_PASSWORD = 12
SETTINGS = """[mlflow]
default_permission = NO_PERMISSIONS
database_uri = sqlite:///{users}
admin_username = admin
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
auth_cache_ttl_seconds = 60
"""


@final
class Access:
    """Basic authentication, in which nobody may see what others made unless they are told so.

    The server's secret key, its settings and its users are kept beside the password file.

    Args:
        password_file: the password of MLflow's user ``admin``, at least 12 characters.
    """

    def __init__(self, password_file: Path) -> None:
        self._file = password_file.absolute()
        self._folder = self._file.parent

    def problems(self) -> list[str]:
        """Why the password protects nothing: it is missing, short, or others can read it."""
        place = f"--password-file {self._file}"
        try:
            password, mode = self._password(), self._file.stat().st_mode
            folder_mode = self._folder.stat().st_mode
        except (OSError, UnicodeDecodeError) as error:
            return [f"{place}: cannot be read: {error}"]
        problems = []
        if mode & 0o077:
            problems.append(f"{place}: others may read it; `chmod 600 {self._file}`")
        if folder_mode & 0o077:
            problems.append(
                f"{place}: others may enter its folder, where the server keeps its users too; "
                f"`chmod 700 {self._folder}`"
            )
        if len(password) < SHORTEST_PASSWORD:
            problems.append(f"{place}: has fewer than {SHORTEST_PASSWORD} characters")
        return problems

    def settings(self) -> dict[str, str]:
        """Environment of the server; what it refers to is written, for this user alone."""
        settings = self._folder / "mlflow-access.ini"
        users = str(self._folder / "mlflow-users.db").replace("%", "%%")
        _write(settings, SETTINGS.format(users=users))
        key = self._folder / "mlflow-secret-key"
        if not key.exists():
            _write(key, secrets.token_hex(32))
        return {
            "MLFLOW_AUTH_CONFIG_PATH": str(settings),
            "MLFLOW_AUTH_ADMIN_USERNAME": "admin",
            "MLFLOW_AUTH_ADMIN_PASSWORD": self._password(),
            "MLFLOW_FLASK_SERVER_SECRET_KEY": key.read_text(),
        }

    def _password(self) -> str:
        return self._file.read_text().strip()


def _write(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)
