import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from study.space import MOST_CORNERS, OptionSpaces, needs, search_space
from tests.study.files import accepted, refused
from trainables import catalogue

SEARCH = {
    "encoder": {"linear": {"width": 16}, "mlp": {"width": [8, 16]}},
    "aggregator": {"mean": {}, "max": None},
    "loss": {"triplet": {"margin": {"low": 0.1, "high": 1, "log": True}, "level": "groups"}},
    "training": {"epochs": 2, "group_size": {"low": 2, "high": 4}, "weight_decay": 0},
}


ENCODERS = ", ".join(catalogue.names("encoder"))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("search.encoder.lineer: {}", "no such encoder; did you mean linear?"),
        ("search.encoder.resnet: {}", "no such encoder; did you mean resnet18?"),
        ("search.encoder.Linear: {}", "no such encoder; did you mean linear?"),
        ("search.encoder.__init__: {}", f"no such encoder; choose from {ENCODERS}"),
        ("search.aggregator.men: {}", "no such aggregator; did you mean mean?"),
        ("search.loss.tripplet: {}", "no such loss; did you mean triplet?"),
        ("search.encoder.linear.wdth: 3", "no such option; did you mean width?"),
        ("search.encoder.linear.foo: 3", "no such option; choose from width"),
        ("search.loss.triplet.marign: 3", "no such option; did you mean margin?"),
        ("search.aggregator.mean.hidden: 3", "no such option; there is none"),
        ("search.training.epoch: 3", "no such option; did you mean epochs?"),
        ("search.training.learning_rat: 3", "no such option; did you mean learning_rate?"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest_one(tmp_path, change, problem):
    path = change.partition(": ")[0]
    assert refused(tmp_path, change) == [f"{path}: {problem}"]


def test_misspelt_views_are_not_also_called_missing(tmp_path):
    changes = ["search.loss.infonce: {level: groups, positives: views}", "search.views: {nois: {}}"]
    assert refused(tmp_path, *changes) == ["search.views.nois: no such views; did you mean noise?"]


def test_combinations_are_every_encoder_with_every_aggregator_and_loss():
    space, problems = search_space(SEARCH)
    assert problems == []
    assert [combination.label for combination in space.combinations] == [
        "linear+mean+triplet",
        "linear+max+triplet",
        "mlp+mean+triplet",
        "mlp+max+triplet",
    ]


def test_parameters_are_named_by_slot_component_and_option():
    combination = search_space(SEARCH)[0].combinations[2]
    distributions = combination.distributions()
    assert {
        "encoder.mlp.width": CategoricalDistribution([8, 16]),
        "loss.triplet.margin": FloatDistribution(0.1, 1.0, log=True),
        "training.group_size": IntDistribution(2, 4),
    }.items() <= distributions.items()
    assert "training.epochs" not in distributions


def test_a_proposal_has_a_value_for_every_option():
    combination = search_space(SEARCH)[0].combinations[0]
    fixed = {"loss.triplet.margin": 0.5, "training.group_size": 3}
    others = {
        name: space.choices[0] if isinstance(space, CategoricalDistribution) else space.low
        for name, space in combination.distributions().items()
    }
    proposed = combination.propose(optuna.trial.FixedTrial(others | fixed))
    assert proposed.encoder.options == {"width": 16}
    assert set(proposed.loss.options) == set(catalogue.options(catalogue.load("loss", "triplet")))
    assert proposed.loss.options["margin"] == 0.5
    assert (proposed.training.epochs, proposed.training.group_size) == (2, 3)
    assert type(proposed.training.weight_decay) is float
    assert proposed.views is None


def test_views_are_searched_only_by_losses_that_compare_them():
    search = SEARCH | {
        "loss": {"triplet": {}, "infonce": {"positives": "views"}},
        "views": {"noise": {}, "dropout": {}},
    }
    by_label = {c.label: c.distributions() for c in search_space(search)[0].combinations}
    assert by_label["mlp+mean+infonce"]["views"] == CategoricalDistribution(["noise", "dropout"])
    assert not any(name.startswith("views") for name in by_label["mlp+mean+triplet"])


def test_the_needs_of_a_loss_are_those_of_any_value_it_may_take():
    loss = search_space(SEARCH | {"loss": {"infonce": {"positives": ["labels", "views"]}}})[0]
    assert needs(loss.combinations[0].loss) == {"positives", "views"}


def test_what_is_wrong_by_itself_is_left_out_and_nothing_else():
    loss = {"triplet": {"margin": -1, "levl": "groups", "mining": "all"}}
    space, problems = search_space(SEARCH | {"loss": loss})
    assert problems == [
        "search.loss.triplet.levl: no such option; did you mean level?",
        "search.loss.triplet.margin: must be at least 0, got -1",
    ]
    spaces = space.combinations[0].loss
    assert not spaces.is_sound
    assert (spaces.values("margin"), spaces.values("level")) == ([], [])
    assert spaces.values("mining") == ["all"]
    assert list(spaces.corners()) == []


def test_corners_are_all_combinations_of_choices_and_ends():
    spaces = OptionSpaces("x", {"a": 1}, {"b": IntDistribution(2, 9)})
    assert list(spaces.corners()) == [{"a": 1, "b": 2}, {"a": 1, "b": 9}]


def test_corners_of_a_vast_space_are_a_sample_with_every_value():
    searched = {name: CategoricalDistribution(list(range(100))) for name in "abcdefgh"}
    spaces = OptionSpaces("x", {}, searched)
    corners = list(spaces.corners())
    assert len(corners) == MOST_CORNERS
    for name in searched:
        assert {corner[name] for corner in corners} == set(range(100))
    assert corners == list(spaces.corners())


def test_a_study_of_large_spaces_is_prepared(tmp_path):
    many = str([place / 1000 for place in range(1, 101)])
    study = accepted(
        tmp_path,
        f"search.loss.triplet.margin: {many}",
        f"search.training.learning_rate: {many}",
        f"search.training.weight_decay: {many}",
        f"search.encoder.linear.width: {list(range(1, 101))}",
    )
    assert len(study.combinations[0].distributions()) == 4
