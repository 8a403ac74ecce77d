"""The model in MLflow is the one in the record: same embeddings, once, and nothing pickled."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from tests.study import finished_studies, mlflow_contents
from tests.study.mlflow_contents import database, models, runs

pytestmark = [
    # MLflow adds the code of a model to the path when it loads one.
    pytest.mark.usefixtures("path"),
]
NAMES = ["mlp+mean+triplet", "mlp+attention+triplet"]


@pytest.fixture
def path(monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    from study.sync import sync

    record = finished_studies.copy(tmp_path_factory.mktemp("modelled"))
    sync(record, None)
    return record


def load(record, name):
    from mlflow import pyfunc

    location = models(database(record))[name].artifact_location
    return pyfunc.load_model(location)


def example(record, name):
    files = record.files(record.result(f"{name}-0001-confirm-1"))
    tensors = load_file(files / "example.safetensors")
    points = tensors["points"].reshape(*tensors["points"].shape[:2], -1)
    return points, tensors["embeddings"]


@pytest.mark.parametrize("name", NAMES)
def test_a_model_reproduces_the_example_of_its_attempt(record, name):
    points, embeddings = example(record, name)
    found = load(record, name).predict(pd.DataFrame({"points": points.tolist()}))
    np.testing.assert_allclose(found, embeddings, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_group_is_embedded_the_same_among_larger_ones(record, name):
    points, _ = example(record, name)
    model = load(record, name)
    ragged = [points[0].tolist(), points[1, :1].tolist(), points[2, :3].tolist()]
    together = model.predict(pd.DataFrame({"points": ragged}))
    for group, embedding in zip(ragged, together, strict=True):
        alone = model.predict(pd.DataFrame({"points": [group]}))
        np.testing.assert_allclose(alone[0], embedding, atol=1e-5)


@pytest.mark.parametrize(
    ("group", "told"),
    [
        ([], "row 1: a group must be one or more points of 64 numbers, got none"),
        ([[1.0, 2.0]], "row 1, point 0: must be 64 numbers, got 2"),
    ],
)
def test_a_group_without_points_or_with_others_is_refused_by_row(record, group, told):
    from mlflow.exceptions import MlflowException

    points, _ = example(record, NAMES[0])
    asked = pd.DataFrame({"points": [points[0].tolist(), group]})
    with pytest.raises(MlflowException, match=told):
        load(record, NAMES[0]).predict(asked)


def test_a_model_belongs_to_the_confirmation_and_says_so(record):
    found = runs(database(record))
    for name, model in models(database(record)).items():
        confirmation = found[f"{name}-0001-confirm-1"]
        assert model.source_run_id == confirmation.info.run_id
        assert model.tags["is_best"] == "true"
        (output,) = confirmation.outputs.model_outputs
        assert output.model_id == model.model_id


def test_a_model_has_signature_example_and_exact_requirements(record):
    model = load(record, NAMES[0])
    (column,) = model.metadata.get_input_schema().inputs
    assert column.name == "points"
    assert str(column.type) == "Any"
    assert [parameter.name for parameter in model.metadata.get_params_schema().params] == [
        *("answer", "first", "second")
    ]
    assert model.metadata.get_output_schema().inputs[0].shape == (-1, 16)
    assert len(model.predict(model.input_example)) == 2
    folder = Path(models(database(record))[NAMES[0]].artifact_location.removeprefix("file://"))
    lines = (folder / "requirements.txt").read_text().split()
    assert "torch" in {line.split("==")[0] for line in lines}
    assert all("==" in line for line in lines)


@pytest.mark.parametrize("name", NAMES)
def test_pairs_of_the_tested_points_keep_the_bounds_of_their_own_margin(record, name):
    points, embeddings = example(record, name)  # of different classes
    same = np.concatenate([points[:, :2], points[:, 2:]])
    pairs = load(record, name).predict(
        pd.DataFrame({"points": same.tolist()}),
        params={
            "answer": "pairs",
            "first": list(range(len(points))),
            "second": list(range(len(points), 2 * len(points))),
        },
    )
    assert list(pairs.columns) == ["first", "second", "distance", "bound", "certified_different"]
    # The margin was measured on these very points, so it holds for them.
    assert (pairs["distance"] <= pairs["bound"]).all()
    assert not pairs["certified_different"].any()
    of_all = load(record, name).predict(
        pd.DataFrame({"points": points.tolist()}), params={"answer": "pairs"}
    )
    assert len(of_all) == len(points) * (len(points) - 1) // 2
    apart = embeddings[of_all["first"]] - embeddings[of_all["second"]]
    np.testing.assert_allclose(of_all["distance"], np.linalg.norm(apart, axis=1), atol=1e-5)


def test_a_record_without_a_reference_gives_distances_and_no_certificate(tmp_path):
    from study.sync import sync

    record = finished_studies.copy(tmp_path)
    files = record.files(record.result(f"{NAMES[0]}-0001-confirm-1"))
    (files / "reference.safetensors").unlink()
    sync(record, None)
    points, _ = example(record, NAMES[0])
    pairs = load(record, NAMES[0]).predict(
        pd.DataFrame({"points": points.tolist()}), params={"answer": "pairs"}
    )
    assert (pairs["distance"] > 0).all()
    assert pairs["bound"].tolist() == pairs["certified_different"].tolist() == [None] * len(pairs)


def test_nothing_is_pickled(record):
    folder = record.folder.parent / "mlartifacts"
    # Python leaves bytecode beside the code of a model that was loaded from where it lies.
    kept = [file for file in folder.rglob("*") if file.parent.name != "__pycache__"]
    suffixes = {file.suffix for file in kept if file.is_file()}
    assert suffixes <= {".py", ".json", ".yaml", ".txt", ".safetensors", ".parquet", ".png", ""}
    assert [file.name for file in kept if file.is_file() and not file.suffix] == ["MLmodel"] * len(
        NAMES
    )


def test_a_model_brings_its_own_code(record, tmp_path):
    location = models(database(record))[NAMES[1]].artifact_location
    script = (
        "import warnings; warnings.simplefilter('ignore')\n"
        "from mlflow import pyfunc\n"
        f"pyfunc.load_model({location!r})\n"
        "import trainables; print(trainables.__file__)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == str(
        Path(location.removeprefix("file://")) / "code" / "trainables" / "__init__.py"
    )


def test_a_better_model_takes_over_and_the_old_one_stays(tmp_path):
    from study.sync import sync

    record = finished_studies.copy(tmp_path)
    sync(record, None)
    old = models(database(record))[NAMES[0]].model_id
    weights = record.files(record.result(f"{NAMES[0]}-0001-confirm-1")) / "weights.safetensors"
    other = record.files(record.result(f"{NAMES[0]}-0001")) / "weights.safetensors"
    weights.write_bytes(other.read_bytes())
    sync(record, None)
    uri = database(record)
    found = mlflow_contents.client(uri).search_logged_models([mlflow_contents.experiment(uri)])
    best = {model.model_id: model.tags["is_best"] for model in found}
    assert len(best) == len(NAMES) + 1
    assert best.pop(old) == "false"
    assert set(best.values()) == {"true"}


def test_a_model_whose_logging_was_cut_short_is_replaced(tmp_path):
    from study.sync import sync
    from study.tracking_server import exclusive

    record = finished_studies.copy(tmp_path, phase="search")
    sync(record, None)
    uri = database(record)
    with exclusive(record):
        mlflow_contents.client(uri).create_logged_model(
            mlflow_contents.experiment(uri),
            name=NAMES[0],
            tags={"study.id": record.identity, "combination": NAMES[0]},
        )
    for result in finished_studies.results(record):
        finished_studies.publish(record, result)
    sync(record, None)
    assert sorted(models(uri)) == sorted(NAMES)
    assert {str(model.status) for model in models(uri).values()} == {"READY"}
