"""A component in a file of one's own: refused with the reason, or installed and found."""

import json
import os
import subprocess
import sys

import pytest

from study.errors import ConfigError
from study.local_component import read
from tests.level import everything
from tests.study.test_how_to import PAGE
from tests.study.tutorials import ROOT

CLASS = """
from typing import Annotated
import torch
from torch import Tensor
from trainables.contracts import HullAggregator, Search

Range = Annotated[float, Search(0.1, 10.0)]


class NearMeanAggregator(HullAggregator):
    '''Weights that fall with the distance to the mean.

    Args:
        width: floats per embedding.
        temperature: of the weights.
    '''

    def __init__(self, width: int, *, temperature: Range = 1.0) -> None:
        super().__init__(width)
        self.register_buffer("temperature", torch.tensor(temperature))

    def weights(self, embeddings: Tensor, mask: Tensor) -> Tensor:
        return mask / mask.sum(1, keepdim=True)
"""


def written(folder, text=CLASS, name="near_mean.py"):
    file = folder / name
    file.write_text(text)
    return file


def test_a_file_is_read(tmp_path):
    found = read(written(tmp_path))
    assert (found.slot, found.name, found.class_name) == (
        "aggregator",
        "near_mean",
        "NearMeanAggregator",
    )


def test_its_version_follows_its_content(tmp_path):
    before = read(written(tmp_path)).version
    assert read(written(tmp_path)).version == before
    assert read(written(tmp_path, CLASS + "\n# changed\n")).version != before


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("near-mean.py", CLASS, "must be called NAME.py, of small letters, digits and underscores"),
        (
            "near_mean.txt",
            CLASS,
            "must be called NAME.py, of small letters, digits and underscores",
        ),
        ("mean.py", CLASS, "this program has a mean of its own; call the file otherwise"),
        ("one.py", "x = 1", "holds 0 classes derived from Encoder, Aggregator, Loss, Views"),
        ("one.py", CLASS + CLASS.replace("NearMean", "Other"), "holds 2 classes derived from"),
        ("one.py", "import nothing_at_all", "cannot be imported: ModuleNotFoundError: No module"),
        ("one.py", "class (", "cannot be imported: SyntaxError: "),
        (
            "one.py",
            CLASS.replace("def weights", "def heights"),
            "NearMeanAggregator: lacks weights",
        ),
        (
            "one.py",
            CLASS.replace(": Range", ": object"),
            "NearMeanAggregator: its option temperature must have a type of",
        ),
    ],
)
def test_a_file_that_holds_no_component_is_refused(tmp_path, name, text, problem):
    file = written(tmp_path, text, name)
    with pytest.raises(ConfigError) as caught:
        read(file)
    (told,) = caught.value.problems
    assert problem in told
    assert str(caught.value).startswith(f"{file}: ")


def test_a_file_that_is_not_there_is_one_line(called, tmp_path):
    code, _, errors = called("components", "--install", tmp_path / "gone.py")
    assert (code, errors) == (2, f"{tmp_path}/gone.py: there is no such file\n")


@everything
def test_an_installed_file_is_found_with_its_version_and_replaced_when_it_changes(tmp_path):
    target = tmp_path / "installed"
    environment = {
        **os.environ,
        "PIP_TARGET": str(target),
        "PIP_UPGRADE": "1",
        "PYTHONPATH": f"{target}{os.pathsep}{ROOT}",
    }

    def study(*words):
        done = subprocess.run(
            [sys.executable, "-m", "study", *map(str, words)],
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    for text in (CLASS, CLASS.replace("10.0", "20.0")):
        file = written(tmp_path, text)
        version = read(file).version
        assert f"(groupstudy-local-near-mean {version})" in study("components", "--install", file)
        listed = json.loads(study("components", "--json"))
        found = listed["aggregator"]["near_mean"]
        assert "fall with the distance" in json.dumps(found)
    assert "20.0" in json.dumps(found)


def test_the_page_says_how():
    assert "study components --install" in PAGE
