import inspect
from pathlib import Path

import pytest

from study import manual
from study.cli import cli
from study.config import StudyConfig
from trainables import catalogue


@pytest.fixture(scope="module")
def page():
    return manual.page()


def row(page, heading, first):
    """The cells of a row of the table below a heading."""
    section = page.partition(f"\n### {heading}\n")[2].partition("\n### ")[0]
    (line,) = [line for line in section.splitlines() if line.startswith(f"| `{first}` |")]
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def test_the_committed_page_is_current(page):
    committed = (Path(__file__).parents[2] / "docs" / "reference.md").read_text()
    assert committed == page, "make reference writes it anew"


def test_every_key_of_a_study_file_is_there_with_what_it_means(page):
    def keys(model):
        for name, field in model.model_fields.items():
            yield name, field
            kind = next(iter(getattr(field.annotation, "__args__", [field.annotation])))
            if inspect.isclass(kind) and hasattr(kind, "model_fields"):
                yield from keys(kind)

    for name, field in keys(StudyConfig):
        assert f"`{name}`" in page or f".{name}`" in page
        if f"| `{name}` |" in page:
            assert field.description


@pytest.mark.parametrize(
    ("section", "key", "cells"),
    [
        (
            "`budget`",
            "hours",
            [
                "number, above 0",
                "-",
                "hours of one launch; then trials save their state, to be continued",
            ],
        ),
        ("`protocol`", "sizes", ["list of integer, at least 1, at most 1000000", "`[1, 2, 5]`"]),
        ("`algorithm.warm_start`", "study", ["text", "must be named"]),
        ("`data`", "split", ["`classes`, `points`, `official`", "`classes`"]),
    ],
)
def test_a_key_has_its_range_and_default(page, section, key, cells):
    assert row(page, section, key)[1 : 1 + len(cells)] == cells


def test_every_component_and_option_is_there(page):
    for slot in catalogue.FOLDERS:
        for name in catalogue.names(slot):
            for option in catalogue.options(catalogue.load(slot, name)):
                assert row(page, f"{slot} `{name}`", option)
    assert row(page, "loss `triplet`", "margin")[1:] == [
        "number, at least 0",
        "`0.2`",
        "0.05 to 0.5, logarithmic",
        "in embedding units.",
    ]


def test_every_verb_and_its_options_are_there(page):
    for name, verb in cli.commands.items():
        assert f"### `study {name} " in page
        for option in verb.params:
            assert all(flag in page for flag in option.opts if flag.startswith("--"))
    assert row(page, "`study init [OPTIONS] DATA`", "--small")[1] == "-"
