from dataclasses import replace

import pytest

from study.config import StudyConfig
from study.confirmation import best, plan, raw
from study.proposals import member_seeds
from study.record import Result, Trial
from tests.study.files import SMALL
from trainables.attempt import Outcome

LABEL = "linear+mean+triplet"


def config_of(**confirmation):
    return StudyConfig.model_validate(SMALL | {"protocol": {"confirmation": confirmation}})


def result(number, quality, state="complete", phase="search"):
    key = f"{LABEL}-{number:04d}"
    trial = Trial(key, phase, LABEL, number, (1, 2), {"training": {"epochs": number}}, "random")
    metrics = {"val/map_at_r.size5": quality}
    return Result(trial, 1, Outcome(state, "", metrics, [], [], 1.0, 2.0))


RESULTS = [result(0, 0.25), result(1, 0.75), result(2, 0.5)]


def suffixes(planned):
    return [trial.key.removeprefix(f"{LABEL}-") for trial in planned]


@pytest.mark.parametrize(
    ("top", "seeds", "read"),
    [
        (0, 1, []),
        (1, 1, ["0001-confirm-1", "0001-ensemble", "0001-untrained-1"]),
        (
            1,
            2,
            [
                *("0001-confirm-1", "0001-confirm-2", "0001-ensemble"),
                *("0001-untrained-1", "0001-untrained-2"),
            ],
        ),
        (
            2,
            1,
            [
                *("0001-confirm-1", "0001-ensemble", "0002-confirm-1", "0002-ensemble"),
                "0001-untrained-1",
            ],
        ),
    ],
)
def test_the_best_are_read_as_often_as_the_study_says_and_the_very_best_untrained_too(
    top, seeds, read
):
    assert suffixes(plan(config_of(top=top, seeds=seeds), RESULTS)) == read


def test_no_more_are_confirmed_than_are_complete():
    confirmed = [t for t in plan(config_of(top=9), RESULTS) if t.phase == "confirmation"]
    assert suffixes(confirmed) == ["0001-confirm-1", "0002-confirm-1", "0000-confirm-1"]


def test_the_model_of_a_single_fold_is_no_ensemble():
    config = config_of()
    single = config.model_copy(update={"data": config.data.model_copy(update={"folds": 1})})
    assert {trial.phase for trial in plan(single, RESULTS)} == {"confirmation", "untrained"}


def test_what_is_read_is_the_configuration_of_its_trial():
    found = RESULTS[1].trial
    for trial in plan(config_of(top=1, seeds=2), RESULTS):
        assert (trial.based_on, trial.proposed_by) == (found.key, "")
        assert (trial.combination, trial.number) == (LABEL, found.number)
        assert trial.configuration == found.configuration


def test_every_combination_is_confirmed_on_the_same_fresh_seeds_as_its_untrained_twin():
    first, second, _, *twins = plan(config_of(top=1, seeds=2), RESULTS)
    assert [trial.seeds for trial in twins] == [first.seeds, second.seeds]
    searched = member_seeds(0, LABEL, 1, count=3)
    assert len({*first.seeds, *second.seeds, *searched}) == 1 + 1 + 3
    other = [replace(r, trial=replace(r.trial, combination="linear+max+triplet")) for r in RESULTS]
    assert [t.seeds for t in plan(config_of(top=1, seeds=2), other)][:2] == [
        first.seeds,
        second.seeds,
    ]


def test_an_ensemble_is_made_of_the_models_of_the_attempt_that_counts():
    _, ensemble, _ = plan(config_of(), [replace(RESULTS[1], attempt=3)])
    assert ensemble.phase == "ensemble"
    assert ensemble.seeds == RESULTS[1].trial.seeds
    assert ensemble.weights == f"{LABEL}-0001/attempt-3/weights.safetensors"


def test_raw_points_are_read_once_where_a_test_is_read_at_all():
    (trial,) = raw(config_of())
    assert (trial.phase, trial.combination) == ("untrained", "identity+mean+untrained")
    assert raw(config_of(top=0)) == []


def test_planning_again_gives_the_same():
    config = config_of(top=2, seeds=2)
    assert plan(config, RESULTS) == plan(config, RESULTS[::-1])


def test_only_complete_trials_of_the_search_are_ranked():
    others = [
        result(3, 0.9, "pruned"),
        result(4, 0.9, "failed"),
        result(5, 0.9, phase="confirmation"),
    ]
    ranked = best(config_of(), [*others, *RESULTS])
    assert [found.trial.number for found in ranked] == [1, 2, 0]


def test_the_earlier_of_two_equals_is_the_better():
    ranked = best(config_of(), [result(7, 0.5), result(2, 0.5)])
    assert [found.trial.number for found in ranked] == [2, 7]
