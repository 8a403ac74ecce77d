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
  aggregator: {NAMES}
  loss: {triplet: {}}
  training: {epochs: 1, classes_per_batch: 5, group_size: 2}
budget: {trials_per_combination: 1}
"""


@pytest.fixture
def study(tmp_path):
    """Calls ``study`` where packages announce aggregators; a study file names all of them."""

    def call(packages, *arguments):
        folder = tmp_path / "packages"
        for target, source in packages.items():
            plug_ins.install(folder, source, target)
        names = ", ".join(f"{target.partition(' = ')[0]}: {{}}" for target in packages)
        (tmp_path / "added.yaml").write_text(STUDY.replace("NAMES", names))
        return subprocess.run(
            [sys.executable, "-m", "study", *arguments],
            env={**os.environ, "PYTHONPATH": plug_ins.path_with(folder)},
            capture_output=True,
            text=True,
            check=False,
        )

    return call


def test_an_announced_aggregator_is_listed_like_any_other(study):
    listed = study({"first = FirstAggregator": FIRST}, "components", "--json")
    about = json.loads(listed.stdout)["aggregator"]["first"]
    assert about["summary"] == "The first point of each group."
    assert about["outside_hull"] is None
    assert about["options"]["sharpness"]["suggested"] == {"low": 0.0, "high": 1.0, "log": False}


def test_a_study_of_an_announced_aggregator_is_sound(study, tmp_path):
    check = ["check", "--quick", str(tmp_path / "added.yaml"), "--root", str(tmp_path)]
    checked = study({"first = FirstAggregator": FIRST}, *check)
    assert checked.returncode == 0, checked.stderr
    assert "aggregator.first.sharpness: 0.0 to 1.0" in checked.stdout


FLAWED = {
    "lost = FirstAggregator": ("import nonesuch", "cannot be imported: ModuleNotFoundError"),
    "empty = FirstAggregator": ("", "cannot be imported: AttributeError"),
    "number = one": ("one = 1", "must be a class derived from trainables.contracts.Aggregator"),
    "abstract = FirstAggregator": (FIRST.replace("def weights", "def other"), "lacks weights"),
    "silent = FirstAggregator": (
        FIRST.replace("HullAggregator", "Aggregator").replace("def weights", "def forward"),
        "must say in outside_hull why",
    ),
    "listed = FirstAggregator": (
        FIRST.replace("Annotated[float, Ge(0), Le(1), Search(0.0, 1.0)] = 0.5", "list = ()"),
        "its option sharpness must have a type of int, float, bool, str and a default",
    ),
    "mean = FirstAggregator": (FIRST, "the package mean-package announces one too"),
}


def test_what_is_no_component_is_refused_with_its_package(study, tmp_path):
    packages = {target: source for target, (source, _) in FLAWED.items()}
    checked = study(packages, "check", "--quick", str(tmp_path / "added.yaml"))
    assert checked.returncode == 2
    problems = checked.stderr.splitlines()[1:]
    assert len(problems) == len(FLAWED)
    for problem, (target, (_, reason)) in zip(problems, FLAWED.items(), strict=True):
        name = target.partition(" = ")[0]
        assert problem.startswith(f"  search.aggregator.{name}: is not offered: {reason}")
        assert f"the package {name}-package" in problem
