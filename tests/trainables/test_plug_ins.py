"""Components that other packages announce, in processes that see such packages."""

import json
import os
import subprocess
import sys

import pytest

from tests.study import plug_ins

FIRST = '''
from typing import Annotated

import torch
from annotated_types import Ge, Le

from trainables.contracts import HullAggregator, Search


class FirstAggregator(HullAggregator):
    """The first point of each group.

    Args:
        width: floats per embedding, unchanged.
        sharpness: of nothing.
    """

    def __init__(
        self, width: int, *, sharpness: Annotated[float, Ge(0), Le(1), Search(0.0, 1.0)] = 0.5
    ) -> None:
        super().__init__(width)

    def weights(self, embeddings, mask):
        return torch.zeros_like(mask, dtype=embeddings.dtype).index_fill(1, torch.tensor([0]), 1)
'''
STUDY = """
name: added
data: {source: digits, split: points, folds: 2}
search:
  encoder: {linear: {width: 4}}
  aggregator: {NAME: {}}
  loss: {triplet: {}}
  training: {epochs: 1, classes_per_batch: 5, group_size: 2}
budget: {trials_per_combination: 1}
"""


@pytest.fixture
def study(tmp_path):
    """Calls ``study`` where a package announces an aggregator."""

    def call(source, target, *arguments):
        folder = plug_ins.install(tmp_path / "packages", source, target)
        name = target.partition(" = ")[0]
        (tmp_path / "added.yaml").write_text(STUDY.replace("NAME", name))
        return subprocess.run(
            [sys.executable, "-m", "study", *arguments],
            env={**os.environ, "PYTHONPATH": plug_ins.path_with(folder)},
            capture_output=True,
            text=True,
            check=False,
        )

    return call


def test_an_announced_aggregator_is_listed_and_searched_like_any_other(study, tmp_path):
    listed = study(FIRST, "first = FirstAggregator", "components", "--json")
    about = json.loads(listed.stdout)["aggregator"]["first"]
    assert about["summary"] == "The first point of each group."
    assert about["outside_hull"] is None
    assert about["options"]["sharpness"]["suggested"] == {"low": 0.0, "high": 1.0, "log": False}


def test_a_study_of_an_announced_aggregator_is_sound(study, tmp_path):
    check = ["check", "--quick", str(tmp_path / "added.yaml"), "--root", str(tmp_path)]
    checked = study(FIRST, "first = FirstAggregator", *check)
    assert checked.returncode == 0, checked.stderr
    assert "aggregator.first.sharpness: 0.0 to 1.0" in checked.stdout


@pytest.mark.parametrize(
    ("source", "target", "problem"),
    [
        ("import nonesuch", "first = FirstAggregator", "cannot be imported: ModuleNotFoundError"),
        ("", "first = FirstAggregator", "cannot be imported: AttributeError"),
        ("first = 1", "first = first", "must be a class derived from trainables.contracts.Aggr"),
        (FIRST.replace("def weights", "def other"), "first = FirstAggregator", "lacks weights"),
        (
            FIRST.replace("(HullAggregator)", "(Aggregator)")
            .replace("import HullAggregator", "import Aggregator")
            .replace("def weights", "def forward"),
            "first = FirstAggregator",
            "must say in outside_hull why",
        ),
        (
            FIRST.replace("Annotated[float, Ge(0), Le(1), Search(0.0, 1.0)] = 0.5", "list = ()"),
            "first = FirstAggregator",
            "its option sharpness must have a type of int, float, bool, str and a default",
        ),
        (FIRST, "mean = FirstAggregator", "the package mean-package announces one too"),
    ],
    ids=["import", "attribute", "no class", "abstract", "hull", "option", "taken"],
)
def test_what_is_no_component_is_refused_with_its_package(study, tmp_path, source, target, problem):
    check = ["check", "--quick", str(tmp_path / "added.yaml"), "--root", str(tmp_path)]
    checked = study(source, target, *check)
    assert checked.returncode == 2
    assert "is not offered: " in checked.stderr
    assert problem in checked.stderr
    assert "-package" in checked.stderr
    assert "Traceback" not in checked.stderr
