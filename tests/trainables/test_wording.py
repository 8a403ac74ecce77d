from typing import Annotated, Literal

import pytest
from annotated_types import Ge, Gt, Le, Lt
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from trainables.wording import LONGEST_SHOWN, broken_rule, meant, nearest, number, shown

STRICT = ConfigDict(strict=True, allow_inf_nan=False)


def broken(kind, value):
    """What is said of a value that pydantic refuses for a type."""
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind, config=STRICT).validate_python(value)
    (error,) = caught.value.errors()
    return broken_rule(error)


@pytest.mark.parametrize(
    ("kind", "value", "told"),
    [
        (int, "3", "must be an integer, got '3'"),
        (int, True, "must be an integer, got true"),
        (float, "a", "must be a number, got 'a'"),
        (float, float("nan"), "must be finite, got nan"),
        (bool, 1, "must be true or false, got 1"),
        (str, 3, "must be text, got 3"),
        (Annotated[str, Field(pattern="^a")], "\ud800", r"must be Unicode text, got '\ud800'"),
        (list[int], 3, "must be a list, got 3"),
        (dict[str, int], [], "must be a section of keys, got []"),
        (Annotated[int, Ge(1)], 0, "must be at least 1, got 0"),
        (Annotated[float, Gt(0.0)], 0.0, "must be above 0, got 0.0"),
        (Annotated[float, Lt(0.5)], 0.5, "must be below 0.5, got 0.5"),
        (Annotated[int, Le(9)], 10, "must be at most 9, got 10"),
        (int, None, "must be an integer, got nothing"),
    ],
)
def test_a_broken_rule_says_what_must_hold_and_what_came(kind, value, told):
    assert broken(kind, value) == told


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("soft", "got 'soft'; did you mean softmax?"),
        ("men", "got 'men'; did you mean mean?"),
        ("xyz", "got 'xyz'"),
        (3, "got 3"),
        (None, "got nothing"),
    ],
)
def test_a_wrong_choice_is_told_all_of_them_in_order_and_the_nearest(value, told):
    rule = "must be one of max, mean, softmax"
    assert broken(Literal["softmax", "mean", "max"], value) == f"{rule}, {told}"


def test_something_missing_is_missing():
    assert broken_rule({"type": "missing", "input": {"a": 1}}) == "is missing"


def test_a_rule_without_words_of_ours_keeps_those_it_has():
    error = {"type": "other", "input": 3, "msg": "Input should be odd", "ctx": {}}
    assert broken_rule(error) == "input should be odd, got 3"


@pytest.mark.parametrize(
    ("limit", "said"), [(0.0, 0), (0.5, 0.5), (3, 3), (-1.0, -1), (float("inf"), float("inf"))]
)
def test_a_limit_is_said_without_a_needless_fraction(limit, said):
    assert number(limit) == said
    assert str(number(limit)) == str(said)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "nothing"),
        (True, "true"),
        (False, "false"),
        ("a b", "'a b'"),
        (0.1, "0.1"),
        ([1, "a"], "[1, 'a']"),
        ("x" * 58, f"'{'x' * 58}'"),
        ("x" * 59, f"'{'x' * 56}..."),
    ],
)
def test_a_value_is_shown_as_a_file_writes_it_and_shortened(value, said):
    assert shown(value) == said
    assert len(said) <= LONGEST_SHOWN


@pytest.mark.parametrize(
    ("name", "known", "found"),
    [
        ("marign", ["margin", "level"], "margin"),
        ("sofft_max", ["soft_max", "max"], "soft_max"),
        ("learning", ["learning_rate", "level"], "learning_rate"),
        ("epoch", ["epochs", "encoder"], "epochs"),
        ("xyz", ["margin", "level"], None),
        ("l", ["level"], None),
        ("", ["level"], None),
        ("level", [], None),
        ("group_", ["group_size", "group_views"], "group_size"),
    ],
)
def test_a_misspelt_or_shortened_name_is_understood(name, known, found):
    assert meant(name, known) == found
    assert meant(name, reversed(known)) == found


@pytest.mark.parametrize(
    ("name", "known", "remedy"),
    [
        ("marign", ["margin", "level"], "did you mean margin?"),
        ("xyz", ["margin", "level"], "choose from level, margin"),
        ("xyz", [], "there is none"),
    ],
)
def test_a_remedy_is_the_nearest_name_else_all_of_them(name, known, remedy):
    assert nearest(name, known) == remedy
