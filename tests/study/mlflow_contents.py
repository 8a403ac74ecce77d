"""What MLflow holds of a study, read back through its client; and a server to hold it."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE_SECONDS = 90


def database(record) -> str:
    """Where a study without an address of its own is tracked."""
    return f"sqlite:///{(record.folder.parent / 'mlflow.db').absolute()}"


def client(uri: str):
    from mlflow import MlflowClient

    return MlflowClient(uri)


def experiment(uri: str, name: str = "tiny") -> str:
    return client(uri).get_experiment_by_name(name).experiment_id


def runs(uri: str) -> dict:
    """Runs of the study by their names, which no two share."""
    found = list(client(uri).search_runs([experiment(uri)]))
    named = {run.info.run_name: run for run in found}
    assert len(named) == len(found)
    return named


def models(uri: str) -> dict:
    """Models of the study by combination, of which no two share one."""
    found = list(client(uri).search_logged_models([experiment(uri)]))
    named = {model.tags["combination"]: model for model in found}
    assert len(named) == len(found)
    return named


def artifacts(uri: str, run, folder: str | None = None) -> dict[str, int]:
    """Size of each file of a run, or of a folder in it."""
    found = client(uri).list_artifacts(run.info.run_id, folder)
    return {file.path: file.file_size for file in found}


def history(uri: str, run) -> list[tuple]:
    """Every point of every metric of a run."""
    return [
        (point.key, point.step, point.timestamp, point.value)
        for name in run.data.metrics
        for point in client(uri).get_metric_history(run.info.run_id, name)
    ]


def everything(uri: str) -> dict:
    """All there is to see: two equal answers mean that nothing has changed."""
    return {
        name: (
            run.info.run_id,
            run.info.status,
            run.info.start_time,
            run.info.end_time,
            run.data.tags,
            run.data.params,
            sorted(history(uri, run)),
            artifacts(uri, run),
            run.inputs.to_dictionary(),
            [output.model_id for output in run.outputs.model_outputs],
        )
        for name, run in runs(uri).items()
    } | {name: (model.model_id, model.tags) for name, model in models(uri).items()}


def free_port() -> int:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        return int(holder.getsockname()[1])


@contextmanager
def serving(folder: Path, port: int) -> Iterator[str]:
    """A real MLflow server of a folder's database, artifacts through it; ended with its group."""
    settings = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "mlflow", "server", "--workers", "1"),
            *("--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"),
            *("--artifacts-destination", str(folder / "artifacts")),
            *("--host", "127.0.0.1", "--port", str(port)),
        ],
        env={**os.environ, **settings},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        address = f"http://127.0.0.1:{port}"
        _wait_for(f"{address}/health")
        yield address
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_for(address: str) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            urllib.request.urlopen(address, timeout=2).close()
        except OSError:
            assert time.monotonic() < until, "the server did not start"
            time.sleep(0.2)
        else:
            return
