"""The example of docs/nearest_groups.md, run as it is on an export and a file that tests make."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.datasets import load_digits

from tests.level import everything
from tests.study import finished_studies

EXAMPLE = Path(__file__).parents[2] / "docs" / "nearest_groups.py"
SIZE, NEIGHBOURS = 4, 3
pytestmark = everything


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the points of digits, an export with programs and the example's result are."""
    folder = tmp_path_factory.mktemp("nearest")
    finished_studies.copy(folder)
    digits = load_digits()
    features = (digits.data / 16).astype(np.float32)
    table = {"label": digits.target.astype(str), "features": list(features)}
    pq.write_table(pa.table(table), folder / "points.parquet")
    run("-m", "study", "export", "tiny", "--root", folder, cwd=EXAMPLE.parents[1])
    return folder


def run(*words, cwd, code=0):
    done = subprocess.run(
        [sys.executable, *map(str, words)], cwd=cwd, capture_output=True, text=True
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def called(folder, *options, code=0):
    asked = ("points.parquet", "tiny/export/best", *options)
    return run(EXAMPLE, *asked, cwd=folder, code=code)


def test_groups_are_formed_embedded_stored_and_found(folder):
    told = called(folder, "--size", SIZE, "--neighbours", NEIGHBOURS, "--out", "groups.parquet")
    found = pq.read_table(folder / "groups.parquet").to_pydict()
    labels = np.array(pq.read_table(folder / "points.parquet")["label"].to_pylist())
    members, embeddings = np.array(found["rows"]), np.array(found["embedding"], np.float64)
    counts = np.unique(labels, return_counts=True)[1]
    assert members.shape == (sum(counts // SIZE), SIZE)
    assert len(np.unique(members)) == members.size
    assert (labels[members] == np.array(found["label"])[:, None]).all()
    apart = np.linalg.norm(embeddings[:, None] - embeddings, axis=2)
    np.fill_diagonal(apart, np.inf)
    expected = np.sort(apart, axis=1)[:, :NEIGHBOURS]
    np.testing.assert_allclose(found["distance"], expected, atol=1e-3)
    own = np.array(found["label"])[np.array(found["nearest"])[:, 0]] == found["label"]
    assert f"{own.mean():.1%} have a group of their own class next to them" in told
    assert own.mean() > 0.5


def test_embeddings_are_those_of_the_exported_model(folder):
    import torch

    from study.first_model import first_model
    from study.record import Record

    called(folder, "--size", SIZE, "--out", "again.parquet")
    found = pq.read_table(folder / "again.parquet").to_pydict()
    record = Record(folder / "tiny")
    points = np.array(pq.read_table(folder / "points.parquet")["features"].to_pylist(), np.float32)
    groups = torch.from_numpy(points[np.array(found["rows"])])
    (name,) = {
        result.trial.key
        for result in record.results()
        if (folder / "tiny/export/best/weights.safetensors").read_bytes() == weights(record, result)
    }
    model = first_model(record, record.result(name)).build()
    with torch.no_grad():
        expected = model(groups, torch.ones(groups.shape[:2], dtype=torch.bool))
    np.testing.assert_allclose(found["embedding"], expected, atol=1e-5)


def weights(record, result):
    file = record.files(result) / "weights.safetensors"
    return file.read_bytes() if file.exists() else None


def test_groups_larger_than_every_class_are_one_line(folder):
    assert (
        called(folder, "--size", 1000, code=1) == "no class has 1000 points; use a smaller --size\n"
    )
