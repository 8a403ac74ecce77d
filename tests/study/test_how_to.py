"""The package of docs/how-to.md: installed by pip, found, checked, searched, recorded, trained."""

import json
import re
import shlex
import subprocess
import sys

import pytest

from analysis.tables import SCHEMAS
from tests.level import everything
from tests.study import tutorials

PAGE = (tutorials.ROOT / "docs" / "how-to.md").read_text()
STUDY = """
name: added
data: {source: digits, split: points, folds: 1}
search:
  encoder: {linear: {width: 8}}
  aggregator: {near_mean: {}}
  loss: {triplet: {}}
  training: {epochs: 2, classes_per_batch: 10, group_size: 3}
budget: {trials_per_combination: 3}
algorithm: {pruner: none}
protocol: {sizes: [3], draws: 1}
"""


def block(language, containing):
    """The block of code of the page with a text in it."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (found,) = [code for code in blocks if containing in code]
    return found


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder that pip has installed the package into."""
    folder = tmp_path_factory.mktemp("package")
    (folder / "pyproject.toml").write_text(block("toml", "near-mean"))
    (folder / "near_mean.py").write_text(block("python", "NearMeanAggregator"))
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    target = folder / "installed"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *offline, "--target", target, folder], check=True
    )
    return target


@pytest.fixture(scope="module")
def launched(installed, tmp_path_factory):
    """A finished study with it, the folder around it, and an environment that knows the package."""
    folder = tmp_path_factory.mktemp("launched")
    (folder / "added.yaml").write_text(STUDY)
    with tutorials.shell(folder, installed) as environment:
        ended = tutorials.run("study launch added.yaml", folder, environment)
        assert ended.returncode == 0, ended.stderr
        yield folder, environment


@pytest.mark.ray
@everything
def test_a_launch_finds_searches_and_records_it(launched):
    folder, _ = launched
    manifest = json.loads((folder / "studies/added/study.json").read_text())
    assert manifest["versions"]["near-mean"] == "0.1.0"
    assert manifest["combinations"] == ["linear+near_mean+triplet"]
    trials = [
        json.loads(path.read_text()) for path in folder.glob("studies/added/trials/*/result.json")
    ]
    searched = [t for t in trials if t["trial"]["phase"] == "search"]
    assert [t["outcome"]["state"] for t in searched] == ["complete"] * 3
    values = {
        t["trial"]["configuration"]["aggregator"]["near_mean"]["temperature"] for t in searched
    }
    assert len(values) == 3
    assert all(0.1 <= value <= 10 for value in values)
    assert all(t["outcome"]["metrics"]["bound/covered"] == 1 for t in searched)
    assert all(t["outcome"]["metrics"]["bound/violations"] == 0 for t in searched)


@pytest.mark.ray
@everything
def test_its_export_is_trained_again_to_the_same_figures(launched):
    folder, environment = launched
    best = "studies/added/export/best/configuration.yaml"
    assert "near-mean: 0.1.0" in (folder / best).read_text()
    again = tutorials.run(f"study train {best}", folder, environment)
    assert again.returncode == 0, again.stdout
    without = {**environment, "PYTHONPATH": str(tutorials.ROOT)}
    refused = tutorials.run(f"study train {best}", folder, without)
    assert refused.returncode == 2
    assert "near_mean" in refused.stderr


@pytest.mark.ray
@everything
def test_mlflow_knows_its_hyperparameter(launched):
    from mlflow import MlflowClient

    folder, _ = launched
    client = MlflowClient(f"sqlite:///{folder / 'studies' / 'mlflow.db'}")
    (experiment,) = [e for e in client.search_experiments() if e.name == "added"]
    runs = client.search_runs([experiment.experiment_id])
    searched = [run for run in runs if run.data.tags.get("phase") == "search"]
    assert len(searched) == 3
    assert all("aggregator.near_mean.temperature" in run.data.params for run in searched)


@pytest.mark.ray
@everything
def test_its_tables_are_read_as_the_page_says(launched):
    folder, environment = launched
    code = block("python", "read_tables").replace('"my"', '"added"')
    read = tutorials.run(
        f"{shlex.quote(sys.executable)} -c {shlex.quote(code)}", folder, environment
    )
    assert read.returncode == 0, read.stderr
    assert "linear+near_mean+triplet" in read.stdout
    assert len(re.findall(r"linear\+near_mean\+triplet-000\d", read.stdout)) == 3


def test_every_table_of_a_record_is_told():
    for name in SCHEMAS:
        assert f"| `{name}` |" in PAGE
