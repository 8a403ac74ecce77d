"""The MLflow UI on this machine's loopback address."""

import os
import sys
from pathlib import Path

from study.errors import RecordError


def address(port: int) -> str:
    """Where a browser finds the studies; MLflow's pages begin at language models otherwise."""
    return f"http://127.0.0.1:{port}/#/experiments?workflowType=machine_learning"


def serve(root: Path, port: int) -> None:
    """Becomes the MLflow server of a folder of studies; never returns.

    Says first which address to open.

    Raises:
        RecordError: if no study under ``root`` was tracked there.
    """
    database = (root / "mlflow.db").absolute()
    if not database.exists():
        raise RecordError(root, ["holds no MLflow database; launch a study there first"])
    command = [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--backend-store-uri", f"sqlite:///{database}"),
        *("--artifacts-destination", str((root / "mlartifacts").absolute())),
        *("--host", "127.0.0.1", "--port", str(port)),
    ]
    sys.stdout.write(f"open {address(port)}\n")
    sys.stdout.flush()
    os.execv(sys.executable, command)
