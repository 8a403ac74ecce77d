"""The runs of one study in MLflow: found by tag, never made twice, rewritten only if they differ.

A run carries three tags that identify it: ``study.id``, the study; ``study.key``, the trial; and
``study.digest``, what was projected, written last of all: a run without it is written again.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar, final

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag

from study import gap_picture
from study.projection import Projection
from study.record import Record
from study.tracking_server import artifact_location, knock
from trainables import places
from trainables.places import Place

METRICS_AT_ONCE = 800
OTHERS_AT_ONCE = 100
RUNS_AT_ONCE = 1000
TRAINS_MODELS = {"mlflow.experimentKind": "custom_model_development"}
"""What MLflow's pages call an experiment that trains models."""
PRODUCTS = ("weights.safetensors", "bounds.parquet")
Item = TypeVar("Item")


@final
@dataclass
class _Known:
    """A run as MLflow has it; ``digest`` is empty until it has been written to the end."""

    run_id: str
    digest: str
    status: str


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
        self.experiment = self._open_experiment(artifact_location(record, uri))
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
        self._log_values(known.run_id, projection, {} if is_new else projection.tags)
        known.digest = projection.digest

    def _open_experiment(self, location: str | None) -> str:
        name = self._record.config.name
        experiment = self.client.get_experiment_by_name(name)
        if experiment is None:
            return str(self.client.create_experiment(name, location, TRAINS_MODELS))
        if experiment.lifecycle_stage == "deleted":
            self.client.restore_experiment(experiment.experiment_id)
        return str(experiment.experiment_id)

    def _create(self, projection: Projection) -> _Known:
        tags = {**projection.tags, "study.id": self.identity, "study.key": projection.key}
        if projection.below:
            tags["mlflow.parentRunId"] = self.run_id(projection.below)
        if self._record.manifest.get("revision"):
            tags["mlflow.source.git.commit"] = self._record.manifest["revision"]
        tags |= {"mlflow.source.name": "study", "mlflow.source.type": "LOCAL"}
        run = self.client.create_run(self.experiment, projection.started, tags, projection.key)
        return _known(run)

    def _log_values(self, run_id: str, projection: Projection, tags: dict[str, str]) -> None:
        """Logs values and tags in as few calls as MLflow takes, the digest in the last of them."""
        metrics = [Metric(*point) for point in projection.points]
        parameters = [Param(name, value) for name, value in projection.parameters.items()]
        named = [RunTag(name, value) for name, value in tags.items()]
        *others, last = zip_longest(
            _batches(metrics, METRICS_AT_ONCE),
            _batches(parameters, OTHERS_AT_ONCE),
            _batches(named, OTHERS_AT_ONCE - 1),
            fillvalue=(),
        )
        for batch in others:
            self.client.log_batch(run_id, *batch, synchronous=True)
        digest = RunTag("study.digest", projection.digest)
        self.client.log_batch(run_id, last[0], last[1], [*last[2], digest], synchronous=True)

    def _log_data(self, run_id: str, phase: str) -> None:
        """Names the data by its digest; no point of it leaves the machine."""
        source = self._record.config.data.source or ""
        data = Dataset(
            name=Path(source).stem,
            digest=self._record.manifest["digests"]["data"][:32],
            source_type="local",
            source=json.dumps({"uri": source}),
        )
        context = InputTag("mlflow.data.context", phase)
        self.client.log_inputs(run_id, [DatasetInput(data, [context])])

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
            pairs = gap_picture.pairs(Path(folder) / "bounds.parquet", size)
            gap_picture.draw(pairs, size).save(Path(folder) / "bound_gap.png")
            self.client.log_artifacts(run_id, folder)

    def _set_status(self, known: _Known, projection: Projection) -> None:
        if projection.ended is not None:
            self.client.set_terminated(known.run_id, projection.status, projection.ended)
        elif known.status != projection.status:
            self.client.update_run(known.run_id, projection.status)
        known.status = projection.status


def _runs(client: MlflowClient, experiment: str, condition: str) -> Iterator[Run]:
    token = None
    while True:
        page = client.search_runs(
            [experiment], condition, max_results=RUNS_AT_ONCE, page_token=token
        )
        yield from page
        token = page.token
        if not token:
            return


def _known(run: Run) -> _Known:
    return _Known(run.info.run_id, run.data.tags.get("study.digest", ""), run.info.status)


def _batches(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    return [items[start : start + size] for start in range(0, len(items), size)] or [()]
