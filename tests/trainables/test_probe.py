import pytest
import torch

from tests.trainables.trials import RULES, nested, study_of
from trainables.configuration import Configuration
from trainables.member import Member
from trainables.probe import peak_memory, probe


@pytest.fixture(autouse=True)
def threads():
    """A probe sets the number of threads of its process."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_a_probe_times_every_part_of_a_trial():
    study = study_of()
    found = probe(nested(), study, RULES, threads=1, stacked=1)
    assert torch.get_num_threads() == 1
    member = Member(
        Configuration.from_nested(nested()), study.points, study.folds[0].train, 0, True
    )
    assert found.steps == len(member.begin_epoch().rows)
    assert min(found.build, found.step, found.validation, found.judgement) > 0
    assert found.epoch == found.step * found.steps
    parameters = member.model.state_dict().values()
    assert found.weights == sum(4 * tensor.numel() for tensor in parameters)
    assert 0 <= found.own_memory < found.memory <= peak_memory()


def test_a_try_of_a_few_steps_counts_no_epoch():
    study = study_of()
    member = Member(
        Configuration.from_nested(nested()), study.points, study.folds[0].train, 0, True
    )
    seconds, steps = member.try_steps(1)
    assert (len(seconds), member.epochs) == (1, 0)
    assert steps > 1


def test_a_step_of_several_as_one_costs_each_no_more_than_its_own():
    found = probe(nested(), study_of(), RULES, threads=1, stacked=8)
    assert 0 < found.stacked_step <= found.step
    assert found.stacked_epoch == found.stacked_step * found.steps


def test_what_cannot_be_stepped_as_one_is_timed_alone():
    lent = nested({"aggregator": {"library-MeanAggregation": {}}})
    found = probe(lent, study_of(), RULES, threads=1, stacked=4)
    assert found.stacked_step == found.step
