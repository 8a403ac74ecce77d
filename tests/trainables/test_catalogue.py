import inspect
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Literal, get_args

import pytest
from annotated_types import Ge, Gt, Lt

from tests.trainables.variants import built
from trainables import catalogue
from trainables.contracts import (
    Aggregator,
    Encoder,
    HullAggregator,
    Loss,
    Search,
    SearchAmong,
    Views,
)

BASES = {"encoder": Encoder, "aggregator": Aggregator, "loss": Loss, "views": Views}
COMPONENTS = [(slot, name) for slot in catalogue.SLOTS for name in catalogue.names(slot)]
OPTIONS = [
    (slot, name, option)
    for slot, name in COMPONENTS
    for option in catalogue.options(catalogue.load(slot, name)).values()
]


@pytest.fixture(params=COMPONENTS, ids="-".join)
def component(request):
    return catalogue.load(*request.param)


@pytest.fixture(params=OPTIONS, ids=lambda o: "-".join([o[0], o[1], o[2].name]))
def option(request):
    return request.param[2]


@pytest.mark.parametrize("slot", catalogue.SLOTS)
def test_names_are_the_files_of_the_folder_in_order(slot):
    folder = Path(catalogue.__file__).parent / catalogue.SLOTS[slot]
    files = {file.stem for file in folder.glob("*.py")} - {"__init__", "library"}
    assert catalogue.names(slot) == sorted(files)


def test_listing_names_imports_no_component():
    program = """
import sys
from trainables import catalogue
[catalogue.names(slot) for slot in catalogue.SLOTS]
print([name for name in sys.modules if name.startswith("trainables.") and name.count(".") > 1])
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert found.stdout == "[]\n"


def test_every_file_holds_the_class_that_its_name_promises(component):
    slot = next(slot for slot, base in BASES.items() if issubclass(component, base))
    assert component.__name__ == catalogue.class_name(slot, component.__module__.split(".")[-1])


def test_a_name_of_several_words_makes_one_class_name():
    assert catalogue.class_name("aggregator", "soft_max") == "SoftMaxAggregator"
    assert catalogue.class_name("views", "noise") == "NoiseViews"


@pytest.mark.parametrize("slot", catalogue.SLOTS)
def test_an_unknown_name_is_a_key_error(slot):
    with pytest.raises(KeyError, match=f"no such {slot}: nonesuch"):
        catalogue.load(slot, "nonesuch")


def test_a_components_options_are_its_keyword_only_arguments(component):
    parameters = inspect.signature(component).parameters.values()
    keyword_only = [p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY]
    assert list(catalogue.options(component)) == keyword_only


def test_defaults_are_legal(option):
    assert option.problem(option.default) is None
    assert type(option.default) is option.kind


def test_suggestions_are_legal(option):
    match option.suggestion:
        case Search(low, high, log):
            assert low < high
            assert low > 0 or not log
            suggested = [option.kind(low), option.kind(high)]
        case SearchAmong(choices=choices):
            suggested = choices
        case None:
            suggested = []
    assert [option.problem(value) for value in suggested] == [None] * len(suggested)


def test_every_option_is_described(option):
    assert option.description
    assert option.description.isprintable()


def test_float_options_have_a_range_that_leaves_out_not_a_number(option):
    if option.kind is float:
        assert get_args(option.annotation)[1:]
        assert option.problem(float("nan")) is not None


def test_only_listed_options_list_their_choices(option):
    if option.choices is None:
        assert option.kind in (int, float, str)
    else:
        assert all(option.problem(choice) is None for choice in option.choices)
        assert option.problem("nonesuch") is not None


@pytest.mark.parametrize("slot", catalogue.SLOTS)
def test_components_without_options_take_their_defaults(slot):
    for name in catalogue.names(slot):
        component = built(slot, name, {}, shape=(1, 16, 16), width=8, classes=3, latent=2)
        assert isinstance(component, BASES[slot])


@pytest.mark.parametrize(
    ("name", "is_learnable"),
    [("mean", False), ("max", False), ("attention", True), ("power_mean", True)],
)
def test_some_aggregators_learn(name, is_learnable):
    assert catalogue.is_learnable(catalogue.load("aggregator", name), 8) == is_learnable


@pytest.mark.parametrize(
    ("name", "is_learnable"), [("identity", False), ("mlp", True), ("pretrained", True)]
)
def test_encoders_learn_though_an_option_must_be_named(name, is_learnable):
    assert catalogue.is_learnable(catalogue.load("encoder", name), (1, 16, 16)) == is_learnable


class Imagined:
    """Nothing.

    Args:
        width: wiring.
        rate: per step,
            in [0, 1).
        depth: layers.
        is_deep: whether it is.
        kind: of thing.
        text: about it.

    Raises:
        RuntimeError: if it is constructed.
    """

    def __init__(
        self,
        width: int,
        *,
        rate: Annotated[float, Ge(0), Lt(1), Search(0.1, 0.5)] = 0.2,
        depth: Annotated[int, Gt(0), SearchAmong(1, 2)] = 1,
        is_deep: bool = False,
        kind: Literal["one", "other"] = "one",
        text: str = "",
    ) -> None:
        raise RuntimeError


def test_options_are_read_from_the_signature_and_construct_nothing():
    read = catalogue.options(Imagined)
    assert {name: option.kind for name, option in read.items()} == {
        "rate": float,
        "depth": int,
        "is_deep": bool,
        "kind": str,
        "text": str,
    }
    assert {name: option.default for name, option in read.items()} == {
        "rate": 0.2,
        "depth": 1,
        "is_deep": False,
        "kind": "one",
        "text": "",
    }
    assert {name: option.choices for name, option in read.items()} == {
        "rate": None,
        "depth": None,
        "is_deep": (False, True),
        "kind": ("one", "other"),
        "text": None,
    }
    assert read["rate"].suggestion == Search(0.1, 0.5)
    assert read["depth"].suggestion.choices == (1, 2)
    assert read["is_deep"].suggestion is None


def test_descriptions_of_several_lines_become_one():
    assert {name: option.description for name, option in catalogue.options(Imagined).items()} == {
        "rate": "per step, in [0, 1).",
        "depth": "layers.",
        "is_deep": "whether it is.",
        "kind": "of thing.",
        "text": "about it.",
    }


@pytest.mark.parametrize(
    ("option", "legal", "illegal"),
    [
        ("rate", [0.0, 0.999], [-0.1, 1.0, "0.5", None]),
        ("depth", [1, 7], [0, 1.5, "1", True]),
        ("is_deep", [True, False], [0, 1, "true"]),
        ("kind", ["one", "other"], ["neither", 1, None]),
        ("text", ["", "any"], [1, None, True]),
    ],
)
def test_values_are_checked_without_conversion(option, legal, illegal):
    checked = catalogue.options(Imagined)[option]
    assert [checked.problem(value) for value in legal] == [None] * len(legal)
    assert None not in [checked.problem(value) for value in illegal]


def test_hull_aggregators_are_the_ones_the_theorem_covers():
    for name in catalogue.names("aggregator"):
        aggregator = catalogue.load("aggregator", name)
        assert (aggregator.outside_hull is None) == issubclass(aggregator, HullAggregator)
