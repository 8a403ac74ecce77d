"""The best model of each combination, logged to MLflow once, with the run that trained it."""

import hashlib
import json
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from mlflow import pyfunc
from mlflow.entities import LoggedModel, LoggedModelOutput, LoggedModelStatus
from mlflow.models import Model, ModelSignature
from mlflow.types.schema import (
    AnyType,
    ColSpec,
    DataType,
    ParamSchema,
    ParamSpec,
    Schema,
    TensorSpec,
)
from safetensors.torch import save_file

import trainables
from study import served
from study.export import best_of_each, confirmed
from study.first_model import first_model
from study.mirror import Mirror
from study.projection import of_trial
from study.record import Record, Result
from trainables import catalogue
from trainables.places import Place

PACKAGES = ("annotated-types", "jaxtyping", "mlflow", "numpy", "pandas", "pydantic", "safetensors")
MODELS_AT_ONCE = 100


class _Choice(NamedTuple):
    """A model worth logging: the best of its combination, and what tells it from others."""

    result: Result
    files: Place
    digest: str


def log_models(mirror: Mirror, record: Record, results: list[Result]) -> list[LoggedModel]:
    """Logs the best model of each combination, where MLflow lacks it; returns them, best first.

    The model is the first confirmation's where there is one, else the search trial's first member.
    Once a better one is found the old model stays, with the tag ``is_best`` set to false.
    """
    chosen = [
        _choice(record, next(iter(confirmed(results, found)), found))
        for found in best_of_each(record.config, results)
    ]
    known = _known(mirror)
    wanted = {choice.digest for choice in chosen}
    for model in known.values():
        is_best = json.dumps(model.tags["study.digest"] in wanted)
        if model.tags.get("is_best") != is_best:
            mirror.client.set_logged_model_tags(model.model_id, {"is_best": is_best})
    return [known.get(choice.digest) or _log(mirror, record, choice) for choice in chosen]


def _choice(record: Record, result: Result) -> _Choice:
    files = record.files(result)
    content = (files / "weights.safetensors").read_bytes()
    digest = hashlib.sha256(result.trial.key.encode() + content).hexdigest()[:32]
    return _Choice(result, files, digest)


def _known(mirror: Mirror) -> dict[str, LoggedModel]:
    """Models of the study by digest; one whose logging was cut short is removed."""
    models: dict[str, LoggedModel] = {}
    token = None
    while True:
        page = mirror.client.search_logged_models(
            [mirror.experiment],
            f"tags.`study.id` = '{mirror.identity}'",
            max_results=MODELS_AT_ONCE,
            page_token=token,
        )
        for model in page:
            if model.status == LoggedModelStatus.READY:
                models[model.tags["study.digest"]] = model
            else:
                mirror.client.delete_logged_model(model.model_id)
        token = page.token
        if not token:
            return models


def _log(mirror: Mirror, record: Record, choice: _Choice) -> LoggedModel:
    """Logs one model; it is ready only when all of it is there."""
    trial, client = choice.result.trial, mirror.client
    run_id = mirror.run_id(trial.key)
    model = client.create_logged_model(
        mirror.experiment,
        name=trial.combination.replace(".", "-"),
        source_run_id=run_id,
        tags={
            "study.id": mirror.identity,
            "study.key": trial.key,
            "study.digest": choice.digest,
            "combination": trial.combination,
            "is_best": "true",
        },
        params=of_trial(record, choice.result).parameters,
        model_type="group embeddings",
    )
    with TemporaryDirectory() as folder:
        about = Model(run_id=run_id, model_id=model.model_id, artifact_path=model.artifact_location)
        _save(Path(folder), record, choice, about)
        client.log_model_artifacts(model.model_id, str(Path(folder) / "model"))
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
    ready: LoggedModel = client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    return ready


def _save(folder: Path, record: Record, choice: _Choice, about: Model) -> None:
    """Writes the model to ``folder/model``: code, configuration, weights of the first member."""
    found = first_model(record, choice.result)
    (folder / "configuration.json").write_text(json.dumps(found.content, indent=2))
    tensors = {"weights": found.weights, "reference": found.reference}
    for name, content in tensors.items():
        if content is not None:
            save_file(content, folder / f"{name}.safetensors")
    points, width = found.example["points"], found.example["embeddings"].shape[1]
    ragged = [group[: 2 - row].flatten(1).tolist() for row, group in enumerate(points[:2])]
    pyfunc.save_model(
        folder / "model",
        python_model=served.__file__,
        artifacts={path.stem: str(path) for path in folder.iterdir()},
        code_paths=[str(Path(trainables.__file__).parent)],
        signature=_signature(width),
        input_example=pd.DataFrame({"points": ragged}),
        pip_requirements=_requirements(choice.result.trial.configuration),
        mlflow_model=about,
    )


def _signature(width: int) -> ModelSignature:
    """Points of any nesting, as no other type admits vectors and images; the model checks them."""
    output = TensorSpec(np.dtype(np.float32), (-1, width))
    params = [
        ParamSpec("answer", DataType.string, "embeddings"),
        ParamSpec("first", DataType.long, [], (-1,)),
        ParamSpec("second", DataType.long, [], (-1,)),
    ]
    anything: Any = AnyType
    return ModelSignature(
        Schema([ColSpec(anything(), "points")]), Schema([output]), ParamSchema(params)
    )


def _requirements(configuration: dict[str, Any]) -> list[str]:
    """Exact versions; without the suffix of a build for one kind of machine."""
    (encoder,), (aggregator,) = configuration["encoder"], configuration["aggregator"]
    added = (catalogue.added_by("encoder", encoder), catalogue.added_by("aggregator", aggregator))
    needed = (*catalogue.load("encoder", encoder).packages, *filter(None, added))
    names = (*PACKAGES, "torch", *needed)
    return [f"{name}=={version(name).partition('+')[0]}" for name in names]
