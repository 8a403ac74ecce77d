"""Every study file in study/examples is right."""

import os
from pathlib import Path

import pytest

import study
from study.check import prepare
from study.config import SearchSection, StudyConfig
from study.space import search_space
from study.strict_yaml import read_yaml
from study.validation import sound, validate

EXAMPLES = sorted((Path(study.__file__).parent / "examples").glob("*.yaml"))
OMNIGLOT = [path for path in EXAMPLES if "source" not in read_yaml(path)["data"]]
DIGITS = [path for path in EXAMPLES if path not in OMNIGLOT]


def test_there_are_examples_of_both_kinds():
    assert {"digits", "smoke"} <= {path.stem for path in DIGITS}
    assert {"founding", "omniglot"} <= {path.stem for path in OMNIGLOT}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_has_right_sections_and_components(path):
    content = read_yaml(path)
    _, problems = validate(StudyConfig, content)
    assert problems == []
    space, problems = search_space(sound(SearchSection, content["search"]))
    assert problems == []
    assert space.combinations


@pytest.mark.parametrize("path", DIGITS, ids=lambda path: path.stem)
def test_an_example_of_the_digits_can_be_launched_as_it_is(tmp_path, path):
    assert prepare(path, tmp_path).combinations


def test_the_digits_example_searches_twelve_combinations(tmp_path):
    (path,) = (path for path in DIGITS if path.stem == "digits")
    study = prepare(path, tmp_path)
    assert len(study.combinations) == 12
    assert study.config.budget.trials_per_combination == 16


@pytest.mark.data
@pytest.mark.skipif("STUDY_DATA" not in os.environ, reason="needs the data sets")
@pytest.mark.parametrize("path", OMNIGLOT, ids=lambda path: path.stem)
def test_an_example_of_omniglot_fits_its_data(tmp_path, path):
    study = prepare(path, tmp_path, str(Path(os.environ["STUDY_DATA"]) / "omniglot.parquet"))
    assert len(study.data.final.held_out) == 13180
