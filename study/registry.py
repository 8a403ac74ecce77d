"""Confirmed models in MLflow's registry: a version for each, and aliases for the best."""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from mlflow.entities import LoggedModel
from mlflow.entities.model_registry import RegisteredModel
from mlflow.exceptions import MlflowException

from study.export import best_of_each, confirmed, heading
from study.markdown import plain
from study.mirror import Mirror
from study.record import Record, Result

BEST = "best"
COPIED = ("study.id", "study.key", "study.digest", "combination")
"""Tags of a model that its version has too."""


class _Chosen(NamedTuple):
    """A model worth registering: the best trial of a combination, and its confirmations."""

    found: Result
    confirmations: list[Result]
    model: LoggedModel


def register(
    mirror: Mirror, record: Record, results: list[Result], models: Sequence[LoggedModel]
) -> None:
    """Registers the models of confirmed combinations under the study's name, as far as they lack.

    The alias ``best`` is that of the combination that is best on validation, ``best-<combination>``
    that of each; a model that is the best no more keeps its version and loses its alias.

    Args:
        mirror: of the study.
        record: of the study.
        results: all that the record has.
        models: of the best trial of each combination, best first.
    """
    chosen = [
        _Chosen(found, confirmations, model)
        for found, model in zip(best_of_each(record.config, results), models, strict=True)
        if (confirmations := confirmed(results, found))
    ]
    if not chosen:
        return
    registered = _opened(mirror, record.config.name)
    known = {
        version.tags.get("study.digest"): version.version
        for version in mirror.client.search_model_versions(f"name='{registered.name}'")
    }
    for place, choice in enumerate(chosen):
        version = known.get(choice.model.tags["study.digest"])
        if version is None:
            version = _add(mirror, record, choice)
        names = [f"{BEST}-{alias_of(choice.found.trial.combination)}", *([] if place else [BEST])]
        for alias in names:
            if str(registered.aliases.get(alias)) != str(version):
                mirror.client.set_registered_model_alias(registered.name, alias, version)


def alias_of(combination: str) -> str:
    """A combination as an alias may be called: ``mlp-mean-triplet``."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", combination)


def _opened(mirror: Mirror, name: str) -> RegisteredModel:
    try:
        return mirror.client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
    description = (
        f"The best model of each combination of the study {plain(name)}, confirmed on its test "
        f"points. Aliases: `{BEST}`, and `{BEST}-ENCODER-AGGREGATOR-LOSS`."
    )
    return mirror.client.create_registered_model(name, description=description)


def _add(mirror: Mirror, record: Record, choice: _Chosen) -> str:
    """Registers a model; returns its version."""
    model, trial = choice.model, choice.found.trial
    configuration = json.dumps(trial.configuration, sort_keys=True)
    tags = {name: model.tags[name] for name in COPIED}
    with _tracked_at(mirror.uri):
        version = mirror.client.create_model_version(
            record.config.name,
            f"models:/{model.model_id}",
            run_id=model.source_run_id,
            tags=tags | {"configuration": hashlib.sha256(configuration.encode()).hexdigest()[:32]},
            # Its beginning is a cell of a table, where a heading's mark would be shown as it is.
            description=heading(record, choice.found, choice.confirmations).removeprefix("# "),
            model_id=model.model_id,
        )
    return str(version.version)


@contextmanager
def _tracked_at(uri: str) -> Iterator[None]:
    """Where MLflow itself looks a model up, whatever its client was told."""
    before = os.environ.get("MLFLOW_TRACKING_URI")
    os.environ["MLFLOW_TRACKING_URI"] = uri
    try:
        yield
    finally:
        if before is None:
            del os.environ["MLFLOW_TRACKING_URI"]
        else:
            os.environ["MLFLOW_TRACKING_URI"] = before
