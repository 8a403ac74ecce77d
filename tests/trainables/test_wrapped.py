from typing import final

import pytest

from trainables import catalogue
from trainables.wrapped import Wrapped


@final
class Plain:
    """What the contract says where an encoder says nothing."""

    tells_groups, certifies, packages = False, False, ()


class Inner(Plain):
    """Inside.

    Args:
        shape: shape of one point.
        width: of the inside.
    """

    def __init__(self, shape, *, width=3):
        self.shape, self.width = shape, width

    @classmethod
    def unfit(cls, shape):
        return "too flat" if len(shape) == 1 else None

    @classmethod
    def check(cls, *, width):
        return ["width: too wide"] if width > 5 else []


@final
class Outer(Plain):
    """Outside.

    Args:
        encoder: what is wrapped.
        length: of the outside,
            in two lines.
    """

    tells_groups = True

    def __init__(self, encoder, *, length=7):
        self.encoder, self.length = encoder, length

    @classmethod
    def check(cls, *, length):
        return ["length: too long"] if length > 9 else []


@final
class Clashing(Plain):
    def __init__(self, encoder, *, width=1):
        pass


def test_options_go_where_they_belong():
    made = Wrapped(Outer, Inner)((2, 2), width=4, length=8)
    assert isinstance(made, Outer)
    assert (made.length, made.encoder.width, made.encoder.shape) == (8, 4, (2, 2))


def test_wrapping_constructs_nothing_and_lists_the_options_of_both():
    options = catalogue.options(Wrapped(Outer, Inner))
    assert {name: (o.default, o.description) for name, o in options.items()} == {
        "width": (3, "of the inside."),
        "length": (7, "of the outside, in two lines."),
    }
    assert catalogue.wiring(Wrapped(Outer, Inner)) == ["shape"]


def test_the_rules_of_both_hold():
    wrapped = Wrapped(Outer, Inner)
    assert wrapped.check(width=1, length=1) == []
    assert wrapped.check(width=6, length=10) == ["width: too wide", "length: too long"]
    assert wrapped.unfit((3,)) == "too flat"
    assert wrapped.unfit((3, 3)) is None
    assert wrapped.tells_groups


@final
class Choosing(Plain):
    """Outside, around some."""

    def __init__(self, encoder):
        pass

    @classmethod
    def refuses(cls, encoder):
        return None if getattr(encoder, "is_chain", True) else f"no chain: {encoder.__module__}"


def test_a_wrapper_may_refuse_what_it_does_not_fit():
    assert Wrapped(Choosing, Inner).unfit((3, 3)) is None
    assert Wrapped(Choosing, Inner).unfit((3,)) == "too flat"
    within = Wrapped(Choosing, Wrapped(Outer, Inner))
    assert within.unfit((3, 3)) == within.unfit((3,)) == f"no chain: {__name__}"


def test_wrappers_stand_in_wrappers():
    made = Wrapped(Outer, Inner)
    with pytest.raises(TypeError, match=r"share options: \['length'\]"):
        Wrapped(Outer, made)
    with pytest.raises(TypeError, match=r"share options: \['width'\]"):
        Wrapped(Clashing, Inner)


@pytest.mark.parametrize(
    ("slot", "name", "exists"),
    [
        ("encoder", "groupface-conv4", True),
        ("encoder", "conv4", True),
        ("encoder", "lipschitz-mlp", True),
        ("encoder", "conv4-groupface", False),
        ("encoder", "groupface", False),
        ("encoder", "nonesuch-conv4", False),
        ("aggregator", "groupface-mean", False),
        ("wrapper", "groupface", True),
    ],
)
def test_only_encoders_stand_in_wrappers(slot, name, exists):
    assert catalogue.exists(slot, name) is exists
