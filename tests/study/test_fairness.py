"""Studies that would compare combinations of different means."""

import pytest

from study.fairness import problems
from study.space import search_space
from tests.study.files import refused

LOSS = {"triplet": {}}


def unfair(encoder, loss=LOSS):
    space, _ = search_space({"encoder": encoder, "aggregator": {"mean": {}}, "loss": loss})
    return problems(space)


@pytest.mark.parametrize(
    ("encoder", "loss"),
    [
        ({"linear": {}, "mlp": {}}, LOSS),
        ({"linear": {"width": 8}, "mlp": {"width": 8}}, LOSS),
        ({"linear": {"width": [8, 16]}, "mlp": {"width": {"choices": [8, 16]}}}, LOSS),
        ({"linear": {"width": 8}, "identity": {}}, LOSS),
        ({"linear": {"width": "wide"}, "mlp": {}}, LOSS),
        ({"mlp": {}}, {"triplet": {}, "infonce": {}, "library-CircleLoss": {}}),
    ],
    ids=["suggested", "fixed", "searched", "without a width", "wrong by itself", "losses"],
)
def test_combinations_of_equal_means_are_compared(encoder, loss):
    assert unfair(encoder, loss) == []


def test_encoders_of_different_widths_are_refused_with_all_of_them():
    found = unfair({"linear": {"width": 8}, "mlp": {"width": [8, 16]}, "transformer": {"width": 8}})
    assert found == [
        "search.encoder: width must be the same for every encoder, or their comparison is none of "
        "equals: linear has 8, mlp has one of 8, 16, transformer has 8; give all the same"
    ]


def test_losses_on_different_levels_are_refused():
    (problem,) = unfair({"mlp": {}}, {"triplet": {"level": "points"}, "infonce": {}})
    assert problem.startswith("search.loss: level must be the same for every loss")
    assert "infonce has one of groups, both, triplet has points" in problem


def test_a_budget_of_its_own_for_a_combination_is_refused(tmp_path):
    budget = "budget.trials_per_combination: {linear+mean+triplet: 64, mlp+mean+triplet: 8}"
    (problem,) = refused(tmp_path, budget)
    assert problem.startswith("budget.trials_per_combination: must be an integer, got ")


def test_a_study_file_of_unequal_combinations_is_refused(tmp_path):
    (problem,) = refused(tmp_path, "search.encoder.mlp: {width: 64}")
    assert problem.startswith("search.encoder: width must be the same for every encoder")
