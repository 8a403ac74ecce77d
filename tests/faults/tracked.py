"""What MLflow holds of a study's trials: every value there is, read at once."""

import math
from collections import defaultdict
from typing import Any, NamedTuple, final

from mlflow import MlflowClient
from mlflow.entities import Run
from sqlalchemy import create_engine, text

from study.record import Record, Result

Point = tuple[str, int, int, float]
"""Name of a metric, epoch, Unix milliseconds, value."""
MOST_RUNS = 1000
DRAWN = ("mlflow.parentRunId",)
"""Tags that hold the name of a run."""


@final
class Tracked(NamedTuple):
    """A run: its status, the state that it says its trial ended in, and its values."""

    status: str
    state: str
    points: frozenset[Point]


def tracked(record: Record, uri: str | None = None) -> dict[str, list[Tracked]]:
    """Runs of a study by the keys of its trials, of which each should have one.

    Args:
        record: of the study.
        uri: database behind MLflow; by default the file beside the study.
    """
    uri = uri or f"sqlite:///{(record.folder.parent / 'mlflow.db').absolute()}"
    found, points = defaultdict(list), _points(uri)
    for run in _runs(record, MlflowClient(uri)):
        known = Tracked(
            run.info.status, run.data.tags.get("state", ""), frozenset(points[run.info.run_id])
        )
        found[run.data.tags["study.key"]].append(known)
    return dict(found)


def contents(record: Record, client: MlflowClient, uri: str) -> dict[str, Any]:
    """All there is to see of a study, by key, apart from the names that MLflow itself draws.

    Args:
        record: of the study.
        client: of MLflow.
        uri: database behind it.
    """
    points = _points(uri)
    return {
        run.data.tags["study.key"]: {
            "status": run.info.status,
            # The study's own run begins when MLflow is first told of it.
            "began": run.info.start_time if "state" in run.data.tags else None,
            "ended": run.info.end_time,
            "tags": {name: run.data.tags[name] for name in run.data.tags if name not in DRAWN},
            "parameters": run.data.params,
            "points": sorted(points[run.info.run_id]),
            "files": sorted(
                (file.path, file.file_size) for file in client.list_artifacts(run.info.run_id)
            ),
            "data": [entry.dataset.digest for entry in run.inputs.dataset_inputs],
            "models": len(run.outputs.model_outputs),
        }
        for run in _runs(record, client)
    }


def expected_points(result: Result) -> frozenset[Point]:
    """What MLflow should hold of a result: every finite value of its history and its outcome."""
    outcome = result.outcome
    history = [(entry["epoch"], entry["time"], entry["metrics"]) for entry in outcome.history]
    epoch, ended, _ = history[-1] if history else (0, outcome.ended, {})
    return frozenset(
        (name, epoch, round(1000 * seconds), value)
        for epoch, seconds, metrics in [*history, (epoch, ended, outcome.metrics)]
        for name, value in metrics.items()
        if math.isfinite(value)
    )


def _runs(record: Record, client: MlflowClient) -> list[Run]:
    experiment = client.get_experiment_by_name(record.config.name)
    if experiment is None:
        return []
    query = f"tags.`study.id` = '{record.identity}'"
    return list(client.search_runs([experiment.experiment_id], query, max_results=MOST_RUNS))


def _points(uri: str) -> dict[str, list[Point]]:
    """Values of all runs of a database; MLflow's client would ask for one metric at a time."""
    engine, found = create_engine(uri), defaultdict(list)
    query = text("SELECT run_uuid, key, step, timestamp, value FROM metrics")
    with engine.connect() as connection:
        for run, *point in connection.execute(query):
            found[run].append(tuple(point))
    engine.dispose()
    return found
