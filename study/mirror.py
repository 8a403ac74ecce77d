"""The runs of one study in MLflow: found by tag, never made twice, rewritten only if they differ.

A run carries three tags that identify it: ``study.id``, the study; ``study.key``, the trial; and
``study.digest``, what was projected, written last of all: a run without it is written again.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar, final

import pyarrow as pa
from mlflow import MlflowClient
from mlflow.entities import DatasetInput, InputTag, Metric, Param, Run, RunTag

from study import experiment, gap_picture
from study.data_set import of_record
from study.milestones import Point
from study.projection import Projection
from study.record import Record
from study.tracking_server import artifact_location, knock
from trainables import places
from trainables.places import Place

METRICS_AT_ONCE = 800
OTHERS_AT_ONCE = 100
RUNS_AT_ONCE = 1000
PRODUCTS = ("weights.safetensors", "bounds.parquet")
Item = TypeVar("Item")


@final
@dataclass
class _Known:
    """A run as MLflow has it.

    Args:
        run_id: MLflow's name of it.
        digest: of what it holds; empty until it has been written to the end.
        status: as MLflow calls it.
        points: those that were logged since the mirror was made.
    """

    run_id: str
    digest: str
    status: str
    points: set[Point] = field(default_factory=set)


@final
class Mirror:
    """What MLflow holds of one study.

    Args:
        record: of the study.
        uri: well-formed tracking address.

    Raises:
        Exception: whatever MLflow makes of an address nobody answers at, here as in every method.
    """

    def __init__(self, record: Record, uri: str) -> None:
        knock(uri)
        self.client, self.uri = MlflowClient(uri), uri
        self.identity = record.identity
        self._record = record
        self.experiment = experiment.opened(self.client, record, artifact_location(record, uri))
        runs = _runs(self.client, self.experiment, f"tags.`study.id` = '{self.identity}'")
        self._runs = {run.data.tags["study.key"]: _known(run) for run in runs}

    def __len__(self) -> int:
        return len(self._runs)

    def run_id(self, key: str) -> str:
        """MLflow's name of a run that was written."""
        return self._runs[key].run_id

    def write(self, projection: Projection, files: Place | None = None) -> None:
        """Brings one run up to date; does nothing if it is.

        Args:
            projection: what the run shall hold.
            files: folder of the attempt that counts; None for the study's own run.
        """
        known = self._runs.get(projection.key)
        is_new = known is None
        if known is None:
            known = self._runs[projection.key] = self._create(projection)
        if known.digest == projection.digest:
            return
        if not known.digest:
            self._log_data(known.run_id, projection.tags.get("phase", "study"))
        if files is None and (not known.digest or projection.ended is not None):
            self._log_manifest(known.run_id)
            self._log_report(known.run_id)
        if files and projection.tags["state"] == "complete":
            self._log_products(known.run_id, files)
        self._set_status(known, projection)
        self._log_values(known, projection, {} if is_new else projection.tags)
        known.digest = projection.digest

    def _create(self, projection: Projection) -> _Known:
        tags = {**projection.tags, "study.id": self.identity, "study.key": projection.key}
        if projection.below:
            tags["mlflow.parentRunId"] = self.run_id(projection.below)
        if self._record.manifest.get("revision"):
            tags["mlflow.source.git.commit"] = self._record.manifest["revision"]
        tags |= {"mlflow.source.name": "study", "mlflow.source.type": "LOCAL"}
        run = self.client.create_run(self.experiment, projection.started, tags, projection.key)
        return _known(run)

    def _log_values(self, known: _Known, projection: Projection, tags: dict[str, str]) -> None:
        """Logs values and tags in as few calls as MLflow takes, the digest in the last of them."""
        points = [point for point in projection.points if point not in known.points]
        metrics = [Metric(*point) for point in points]
        parameters = [Param(name, value) for name, value in projection.parameters.items()]
        named = [RunTag(name, value) for name, value in tags.items()]
        *others, last = zip_longest(
            _batches(metrics, METRICS_AT_ONCE),
            _batches(parameters, OTHERS_AT_ONCE),
            _batches(named, OTHERS_AT_ONCE - 1),
            fillvalue=(),
        )
        for batch in others:
            self.client.log_batch(known.run_id, *batch, synchronous=True)
        digest = RunTag("study.digest", projection.digest)
        self.client.log_batch(known.run_id, last[0], last[1], [*last[2], digest], synchronous=True)
        if projection.ended is None:  # it will be written again, with more of them
            known.points.update(points)

    def _log_data(self, run_id: str, phase: str) -> None:
        """Names the data; no point of it leaves the machine."""
        context = InputTag("mlflow.data.context", phase)
        self.client.log_inputs(run_id, [DatasetInput(of_record(self._record), [context])])

    def _log_manifest(self, run_id: str) -> None:
        # An address tells who uses which machine; that is for the record alone.
        manifest = self._record.manifest
        config = {k: v for k, v in manifest["config"].items() if k not in ("tracking", "storage")}
        content: dict[str, Any] = {**manifest, "config": config}
        self.client.log_text(run_id, json.dumps(content, indent=2), "study.json")

    def _log_report(self, run_id: str) -> None:
        """The report as the last launch wrote it; a study that never ended has none."""
        page = self._record.report_page
        if page.exists():
            with places.local(page.parent) as folder:
                self.client.log_artifacts(run_id, str(folder), "report")

    def _log_products(self, run_id: str, files: Place) -> None:
        size = self._record.config.protocol.selecting_size
        # All in one folder, for one call.
        with TemporaryDirectory() as folder:
            for name in (name for name in PRODUCTS if (files / name).exists()):
                places.stand_in(files / name, Path(folder) / name)
            # Without a picture, where what it would show is gone or damaged.
            with suppress(FileNotFoundError, pa.ArrowException):
                pairs = gap_picture.pairs(Path(folder) / "bounds.parquet", size)
                gap_picture.draw(pairs, size).save(Path(folder) / "bound_gap.png")
            self.client.log_artifacts(run_id, folder)

    def _set_status(self, known: _Known, projection: Projection) -> None:
        if projection.ended is not None:
            self.client.set_terminated(known.run_id, projection.status, projection.ended)
        elif known.status != projection.status:
            self.client.update_run(known.run_id, projection.status)
        known.status = projection.status


def _runs(client: MlflowClient, number: str, condition: str) -> Iterator[Run]:
    token = None
    while True:
        page = client.search_runs([number], condition, max_results=RUNS_AT_ONCE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _known(run: Run) -> _Known:
    return _Known(run.info.run_id, run.data.tags.get("study.digest", ""), run.info.status)


def _batches(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    return [items[start : start + size] for start in range(0, len(items), size)] or [()]
