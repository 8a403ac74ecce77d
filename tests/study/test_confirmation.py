import pytest

from study.config import StudyConfig
from study.confirmation import best, plan
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


@pytest.mark.parametrize(
    ("top", "seeds", "confirmed"),
    [
        (0, 1, []),
        (1, 1, ["0001-confirm-1"]),
        (1, 2, ["0001-confirm-1", "0001-confirm-2"]),
        (2, 1, ["0001-confirm-1", "0002-confirm-1"]),
        (9, 1, ["0001-confirm-1", "0002-confirm-1", "0000-confirm-1"]),
    ],
)
def test_the_best_are_confirmed_on_as_many_seeds_as_the_study_says(top, seeds, confirmed):
    planned = plan(config_of(top=top, seeds=seeds), RESULTS)
    assert [trial.key for trial in planned] == [f"{LABEL}-{rest}" for rest in confirmed]


def test_a_confirmation_is_the_configuration_of_its_trial_with_one_fresh_seed():
    first, second = plan(config_of(top=1, seeds=2), RESULTS)
    confirmed = RESULTS[1].trial
    for trial in (first, second):
        assert (trial.phase, trial.proposed_by) == ("confirmation", "")
        assert (trial.combination, trial.number) == (LABEL, confirmed.number)
        assert trial.configuration == confirmed.configuration
    searched = member_seeds(0, LABEL, 1, 0, count=3)
    assert len({*first.seeds, *second.seeds, *searched}) == 1 + 1 + 3


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
