"""Confirmed models in MLflow's registry, beside their runs."""

import mlflow
import pytest

from study import registry
from study.sync import sync
from tests.study import finished_studies
from tests.study.mlflow_contents import client, database, models, runs

NAMES = ["mlp+attention+triplet", "mlp+mean+triplet"]


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """A whole study, brought to MLflow."""
    record = finished_studies.copy(tmp_path_factory.mktemp("registered"))
    sync(record, None)
    return record


def versions(record) -> dict:
    found = client(database(record)).search_model_versions("name='tiny'")
    return {version.version: version for version in found}


def test_every_confirmed_combination_has_a_version_and_an_alias(record):
    known, registered = versions(record), client(database(record)).get_registered_model("tiny")
    assert len(known) == len(NAMES)
    aliases = {f"best-{registry.alias_of(name)}" for name in NAMES}
    assert registered.aliases.keys() == {"best", *aliases}
    for name in NAMES:
        version = known[int(registered.aliases[f"best-{registry.alias_of(name)}"])]
        assert version.tags["combination"] == name
        run = runs(database(record))[version.tags["study.key"]]
        assert version.run_id == run.info.run_id
        assert version.description.startswith(f"{name}, from study tiny")
        assert "Test map_at_r.size3" in version.description


def test_the_best_is_that_of_the_leaderboard(record):
    registered = client(database(record)).get_registered_model("tiny")
    best = versions(record)[int(registered.aliases["best"])].tags["combination"]
    quality = "val/map_at_r.size3"
    metrics = runs(database(record))["tiny"].data.metrics
    below = {name: metrics[f"{quality}/{name.replace('+', ' ')}"] for name in NAMES}
    assert best == max(below, key=below.get)


def test_a_registered_model_is_loaded_by_its_alias(record, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", database(record))
    model = mlflow.pyfunc.load_model("models:/tiny@best")
    by_combination = models(database(record))
    best = versions(record)[
        int(client(database(record)).get_registered_model("tiny").aliases["best"])
    ]
    assert model.metadata.model_id == by_combination[best.tags["combination"]].model_id


def test_syncing_again_registers_nothing(record):
    before = {
        number: version.last_updated_timestamp for number, version in versions(record).items()
    }
    sync(record, None)
    assert before == {n: version.last_updated_timestamp for n, version in versions(record).items()}


def test_a_study_without_confirmations_registers_nothing(tmp_path):
    record = finished_studies.copy(tmp_path, phase="search")
    sync(record, None)
    assert client(database(record)).search_registered_models() == []
