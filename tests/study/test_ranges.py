from typing import Annotated, Literal

import pytest
from annotated_types import Ge, Gt
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from study import ranges
from trainables import catalogue
from trainables.contracts import Search, SearchAmong


class Example:
    """A component with an option of every kind.

    Args:
        count: things.
        rate: per second.
        shift: units.
        mode: what to do.
        power: 1, 2 or 4.
        flag: whether.
    """

    def __init__(
        self,
        *,
        count: Annotated[int, Ge(1), Search(2, 8)] = 4,
        rate: Annotated[float, Gt(0), Search(0.1, 10, log=True)] = 1.0,
        shift: float = 0.0,
        mode: Annotated[Literal["hard", "soft"], SearchAmong("soft")] = "hard",
        power: Literal[1, 2, 4] = 2,
        flag: bool = False,
    ) -> None: ...


OPTIONS = catalogue.options(Example)


@pytest.mark.parametrize(
    ("name", "space", "problems"),
    [
        ("count", 0, [": must be at least 1, got 0"]),
        ("count", 2.0, [": must be an integer, got 2.0"]),
        ("count", True, [": must be an integer, got true"]),
        ("count", "2", [": must be an integer, got '2'"]),
        ("count", None, [": must be an integer, got nothing"]),
        ("count", 10**30, [f": must be at most 2147483647, got {10**30}"]),
        ("count", [], [": must list 1 to 100 choices, lists 0"]),
        ("count", list(range(1, 102)), [": must list 1 to 100 choices, lists 101"]),
        ("count", [1, 2, 1], [": must list each choice once, 1 is repeated"]),
        ("count", [0, 1, "x"], [": must be at least 1, got 0", ": must be an integer, got 'x'"]),
        ("count", [[1]], [": must be an integer, got [1]"]),
        ("count", {}, [": a range needs `low`", ": a range needs `high`"]),
        ("count", {"low": 1}, [": a range needs `high`"]),
        ("count", {"low": 1, "hgih": 2}, [".hgih: no such key; did you mean high?"]),
        (
            "count",
            {"low": 1, "high": 2, "base": 2},
            [".base: no such key; choose from high, log, low, step"],
        ),
        ("count", {"low": 5, "high": 3}, [": low must not exceed high, got 5 > 3"]),
        (
            "count",
            {"low": 0, "high": 2.5},
            [
                ".low: must be at least 1, got 0",
                ".high: must be an integer, got 2.5",
            ],
        ),
        (
            "count",
            {"low": 1, "high": 10, "step": 4},
            [".step: must divide the range, got 4 from 1 to 10; end it at 9"],
        ),
        ("count", {"low": 1, "high": 9, "step": 0}, [".step: must be a positive integer, got 0"]),
        (
            "count",
            {"low": 1, "high": 9, "step": 2.0},
            [".step: must be a positive integer, got 2.0"],
        ),
        (
            "count",
            {"low": 1, "high": 9, "step": True},
            [".step: must be a positive integer, got true"],
        ),
        ("count", {"low": 1, "high": 9, "log": 1}, [".log: must be true or false, got 1"]),
        ("count", {"low": 1, "high": 9, "log": None}, [".log: must be true or false, got nothing"]),
        (
            "count",
            {"low": 1, "high": 9, "log": True, "step": 2},
            [".step: cannot be combined with log"],
        ),
        ("count", {"choices": 3}, [".choices: must be a list, got 3"]),
        ("count", {"choices": None}, [".choices: must be a list, got nothing"]),
        ("count", {"choices": [1], "low": 3}, [": `choices` stands alone, without other keys"]),
        ("count", {"choices": [0]}, [": must be at least 1, got 0"]),
        ("rate", float("inf"), [": must be finite, got inf"]),
        ("rate", float("nan"), [": must be finite, got nan"]),
        ("rate", True, [": must be a number, got true"]),
        ("rate", 10**400, [f": must be a number, got {str(10**400)[:57]}..."]),
        ("rate", [1, 1.0], [": must list each choice once, 1.0 is repeated"]),
        ("rate", {"low": float("nan"), "high": 1}, [".low: must be finite, got nan"]),
        (
            "rate",
            {"low": 0.1, "high": 0.5, "step": float("nan")},
            [".step: must be a positive number, got nan"],
        ),
        (
            "rate",
            {"low": 0.1, "high": 0.55, "step": 0.1},
            [".step: must divide the range, got 0.1 from 0.1 to 0.55; end it at 0.5"],
        ),
        (
            "rate",
            {"low": 0.1, "high": 1e300, "step": 1e-300},
            [".step: must make at most 1000000 steps, got 1e-300 from 0.1 to 1e+300"],
        ),
        ("shift", {"low": -1e308, "high": 1e308}, [": must be narrower, got -1e+308 to 1e+308"]),
        (
            "shift",
            {"low": 0, "high": 1, "log": True},
            [".low: must be positive on a log scale, got 0"],
        ),
        ("mode", "hrad", [": must be one of hard, soft, got 'hrad'; did you mean hard?"]),
        ("mode", 3, [": must be one of hard, soft, got 3"]),
        ("mode", {"low": 1, "high": 2}, [": has no range; list its choices, as ['hard', 'soft']"]),
        ("power", 3, [": must be one of 1, 2, 4, got 3"]),
        ("power", 2.0, [": must be one of 1, 2, 4, got 2.0"]),
        ("power", True, [": must be one of 1, 2, 4, got true"]),
        ("power", {"low": 1, "high": 4}, [": has no range; list its choices, as [1, 2, 4]"]),
        ("flag", 1, [": must be true or false, got 1"]),
        ("flag", "yes", [": must be true or false, got 'yes'"]),
        ("flag", {"low": 0, "high": 1}, [": has no range; list its choices, as [false, true]"]),
    ],
)
def test_a_wrong_space_is_refused(name, space, problems):
    assert ranges.problems(OPTIONS[name], space) == problems


@pytest.mark.parametrize(
    ("name", "space", "distribution"),
    [
        ("count", 3, None),
        ("count", [3], CategoricalDistribution([3])),
        ("count", {"choices": [3, 5]}, CategoricalDistribution([3, 5])),
        ("count", {"low": 2, "high": 2}, IntDistribution(2, 2)),
        ("count", {"low": 2, "high": 8, "step": 3}, IntDistribution(2, 8, step=3)),
        ("count", {"low": 2, "high": 8, "log": True}, IntDistribution(2, 8, log=True)),
        ("rate", {"low": 1, "high": 2}, FloatDistribution(1.0, 2.0)),
        (
            "rate",
            {"low": 0.1, "high": 0.3, "step": 0.1},
            FloatDistribution(0.1, 0.3, step=0.1),
        ),
        ("rate", {"low": 1e-3, "high": 1, "log": True}, FloatDistribution(1e-3, 1.0, log=True)),
        ("rate", [1, 2.5], CategoricalDistribution([1.0, 2.5])),
        ("mode", ["soft", "hard"], CategoricalDistribution(["soft", "hard"])),
        ("flag", [True, False], CategoricalDistribution([True, False])),
    ],
)
def test_a_right_space_becomes_a_distribution(name, space, distribution):
    assert ranges.problems(OPTIONS[name], space) == []
    assert ranges.distribution(OPTIONS[name], space) == distribution


class Named:
    """A component with an option that is any text.

    Args:
        name: of a thing.
    """

    def __init__(self, *, name: str = "") -> None: ...


@pytest.mark.parametrize(
    ("space", "problems", "distribution"),
    [
        ("one", [], None),
        (["one", "other"], [], CategoricalDistribution(["one", "other"])),
        (3, [": must be text, got 3"], None),
        (["one", None], [": must be text, got nothing"], None),
        ({"low": "a", "high": "b"}, [": has no range; list its choices"], None),
    ],
)
def test_text_is_one_value_or_listed(space, problems, distribution):
    option = catalogue.options(Named)["name"]
    assert ranges.suggested(option) == ""
    assert ranges.problems(option, space) == problems
    if not problems:
        assert ranges.distribution(option, space) == distribution


def test_integers_become_floats_where_floats_are_wanted():
    assert type(ranges.value(OPTIONS["rate"], 1)) is float
    choices = ranges.distribution(OPTIONS["rate"], [1, 2]).choices
    assert [type(choice) for choice in choices] == [float, float]


@pytest.mark.parametrize(
    ("name", "space"),
    [
        ("count", {"low": 2, "high": 8, "log": False}),
        ("rate", {"low": 0.1, "high": 10, "log": True}),
        ("mode", ["soft"]),
        ("flag", False),
    ],
)
def test_an_option_that_is_not_named_has_its_suggested_space_or_its_default(name, space):
    assert ranges.suggested(OPTIONS[name]) == space


@pytest.mark.parametrize("slot", catalogue.SLOTS)
def test_every_suggestion_is_a_legal_space(slot):
    for component in (catalogue.load(slot, name) for name in catalogue.names(slot)):
        for option in catalogue.options(component).values():
            assert ranges.problems(option, ranges.suggested(option)) == [], option.name
