from dataclasses import FrozenInstanceError, fields

import pytest

from trainables import catalogue
from trainables.configuration import BATCH, Component, Configuration, Training

NESTED = {
    "encoder": {"mlp": {"width": 6, "depth": 2}},
    "aggregator": {"mean": {}},
    "loss": {"infonce": {"positives": "views", "temperature": 0.2}},
    "views": {"noise": {"deviation": 0.3}},
    "training": {**{field.name: field.default for field in fields(Training)}, "epochs": 3},
}


@pytest.fixture
def configuration():
    return Configuration.from_nested(NESTED)


def test_reading_what_was_written_changes_nothing(configuration):
    assert configuration.nested() == NESTED
    assert Configuration.from_nested(configuration.nested()) == configuration


def test_components_are_read_by_name_with_their_options(configuration):
    assert configuration.encoder == Component("mlp", {"width": 6, "depth": 2})
    assert configuration.views == Component("noise", {"deviation": 0.3})
    assert configuration.training == Training(epochs=3)


def test_a_component_without_options_may_be_empty():
    assert Configuration.from_nested({**NESTED, "aggregator": {"mean": None}}).aggregator == (
        Component("mean", {})
    )


@pytest.mark.parametrize("views", [{"views": None}, {}])
def test_views_may_be_missing(views):
    without = {slot: parts for slot, parts in NESTED.items() if slot != "views"}
    configuration = Configuration.from_nested({**without, **views})
    assert configuration.views is None
    assert "views" not in configuration.nested()


def test_flat_names_are_slot_component_and_option(configuration):
    flat = configuration.flat()
    assert flat["loss.infonce.temperature"] == 0.2
    assert flat["encoder.mlp.depth"] == 2
    assert flat["training.epochs"] == 3
    assert len(flat) == 2 + 0 + 2 + 1 + len(fields(Training))


def test_training_options_are_legal_and_described():
    options = catalogue.options(Training)
    assert set(options) == {field.name for field in fields(Training)}
    for option in options.values():
        assert option.problem(option.default) is None
        assert option.description


@pytest.mark.parametrize(
    ("option", "illegal"),
    [
        ("epochs", 0),
        ("learning_rate", 0.0),
        ("weight_decay", -1e-9),
        ("classes_per_batch", 1),
        ("groups_per_class", 0),
        ("group_size", 0),
        ("group_size_spread", -1),
        ("group_views", "mixed"),
    ],
)
def test_illegal_training_options_are_refused(option, illegal):
    assert catalogue.options(Training)[option].problem(illegal) is not None


def test_the_sampler_gets_the_options_that_shape_a_step():
    training = Training(classes_per_batch=3, groups_per_class=4, group_size=5, group_size_spread=2)
    assert training.batch == dict(zip(BATCH, (3, 4, 5, 2), strict=True))


def test_a_configuration_does_not_change(configuration):
    with pytest.raises(FrozenInstanceError):
        configuration.training.epochs = 4
