import json
from pathlib import Path

import pytest

from study import reference
from trainables import catalogue
from trainables.configuration import Training


@pytest.fixture(scope="module")
def content():
    return json.loads(reference.as_json())


def components():
    return [(slot, name) for slot in catalogue.SLOTS for name in catalogue.names(slot)]


@pytest.mark.parametrize(("slot", "name"), components())
def test_every_component_is_listed_with_its_summary_and_options(content, slot, name):
    component = catalogue.load(slot, name)
    listed = content[slot][name]
    assert listed["summary"] == component.__doc__.partition("\n")[0]
    assert listed["source"].endswith(f"/{name}.py")
    assert listed["description"].startswith(listed["summary"])
    assert "Args:" not in listed["description"]
    options = catalogue.options(component)
    assert list(listed["options"]) == list(options)
    for option in options.values():
        assert listed["options"][option.name]["default"] == option.default
        assert listed["options"][option.name]["description"]


def test_an_option_is_listed_with_range_and_suggestion(content):
    assert content["loss"]["triplet"]["options"]["margin"] == {
        "type": "float",
        "default": 0.2,
        "at_least": 0,
        "suggested": {"low": 0.05, "high": 0.5, "log": True},
        "description": "in embedding units.",
    }
    assert content["loss"]["triplet"]["options"]["level"]["choices"] == ["points", "groups", "both"]


def test_the_options_of_the_training_are_listed_too(content):
    assert set(content["training"]["options"]) == set(catalogue.options(Training))


def test_aggregators_say_whether_the_theorem_covers_them(content):
    assert content["aggregator"]["mean"]["outside_hull"] is None
    assert "between the members" in content["aggregator"]["max"]["outside_hull"]


def test_the_table_holds_the_same_and_fits_a_terminal_of_80_columns():
    lines = reference.as_table().splitlines()
    assert max(map(len, lines)) < 80
    for slot, name in components():
        assert f"{slot} {name}" in lines
        for option in catalogue.options(catalogue.load(slot, name)):
            assert any(line.startswith(f"    {option} = ") for line in lines)
    start = lines.index("loss triplet")
    margin = lines.index("    margin = 0.2: number, at least 0", start)
    assert lines[margin + 1 : margin + 3] == [
        "        searched, unless named: 0.05 to 0.5, logarithmic",
        "        in embedding units.",
    ]


@pytest.mark.parametrize(
    ("slot", "name", "needs"),
    [
        ("loss", "triplet", ["several rows of a class"]),
        ("loss", "infonce", ["several rows of a class or views"]),
        ("loss", "smog", ["views", "a teacher"]),
        ("loss", "arcface", []),
        ("encoder", "conv4", ["images"]),
        ("encoder", "mlp", []),
        ("wrapper", "groupface", ["an encoder"]),
    ],
)
def test_a_component_says_what_it_needs(content, slot, name, needs):
    assert content[slot][name]["needs"] == needs


def test_the_tables_of_the_readme_are_current():
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    written = readme.partition("<!-- components -->\n")[2].partition("\n<!-- end -->")[0]
    assert written == reference.as_markdown(), "make reference writes them anew"
