"""A study that tries the best of an earlier one first."""

from optuna.storages import InMemoryStorage

from study import warm_start
from study.config import WarmStartSection
from study.manifest import manifest
from study.proposals import Proposals
from study.record import Record
from tests.study.files import accepted, refused
from tests.study.finished_studies import copy

MLP = [
    "-search.encoder.linear",
    "search.encoder.mlp: {width: [16, 32], hidden: 32}",
    "search.training: {epochs: 1, group_size: 2, learning_rate: {low: 0.001, high: 0.1}}",
]
WARM = "algorithm.warm_start: {study: tiny, top: 2}"


def warm(folder, *changes):
    """A study that begins with what the tiny one found, and the proposals of its combination."""
    study = accepted(folder, *MLP, WARM, *changes)
    record = Record.create(folder / "small", manifest(study))
    return Proposals(record, study.combinations[0], InMemoryStorage())


def test_the_best_of_the_earlier_study_is_tried_first_and_the_rest_is_proposed(tmp_path):
    copy(tmp_path)
    proposals = warm(tmp_path)
    first, second = proposals.ask(), proposals.ask()
    assert (first.proposed_by, second.proposed_by) == ("warm_start", "random")
    assert first.configuration["encoder"] == {"mlp": {**MLP_OPTIONS, "width": 16}}
    assert first.configuration["training"]["learning_rate"] == 0.003
    assert (first.number, second.number) == (0, 1)
    assert proposals.asked == 2


MLP_OPTIONS = {"width": 16, "hidden": 32, "depth": 1, "dropout": 0.0}


def test_what_lies_outside_the_new_space_is_left_to_the_sampler(tmp_path):
    copy(tmp_path)
    study = accepted(tmp_path, *MLP, "search.encoder.mlp: {width: [8, 32], hidden: [32, 64]}")
    section = WarmStartSection(study="tiny", top=1)
    (values,) = warm_start.proposals(section, tmp_path, study.combinations[0])
    assert values["encoder.mlp.hidden"] == 32
    assert values["training.learning_rate"] == 0.003
    assert "encoder.mlp.width" not in values


def test_nothing_is_tried_twice_after_a_restart(tmp_path):
    copy(tmp_path)
    study = accepted(tmp_path, *MLP, WARM)
    record = Record.create(tmp_path / "small", manifest(study))
    storage = InMemoryStorage()
    for _ in range(2):
        proposals = Proposals(record, study.combinations[0], storage)
        assert proposals.asked == 0
    assert [proposals.ask().proposed_by for _ in range(3)] == ["warm_start", "random", "random"]


def test_a_study_that_is_not_there_is_named_with_what_was_meant(tmp_path):
    copy(tmp_path)
    (problem,) = refused(tmp_path, *MLP, "algorithm.warm_start: {study: tyny}")
    assert problem.startswith("algorithm.warm_start.study: tyny holds no study; ")
    assert "tiny" in problem


def test_a_study_of_other_combinations_cannot_be_started_from(tmp_path):
    copy(tmp_path)
    assert refused(tmp_path, WARM) == [
        "algorithm.warm_start.study: no combination of this study has a complete trial there; "
        "it has mlp+attention+triplet, mlp+mean+triplet"
    ]


def test_a_study_without_complete_trials_cannot_be_started_from(tmp_path):
    copy(tmp_path, phase="nothing")
    (problem,) = refused(tmp_path, *MLP, WARM)
    assert problem.endswith("; it has no complete trial")


def test_no_name_leads_out_of_the_folder_of_studies(tmp_path):
    (problem,) = refused(tmp_path, "algorithm.warm_start: {study: ../elsewhere}")
    assert problem.startswith("algorithm.warm_start.study: must be")
