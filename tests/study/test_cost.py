"""What a study is said to take before it runs, from probes that are made up, and from real ones."""

from dataclasses import replace

import pytest

from study.cost import GIB, MIB, Branch, cost, estimated, typical
from study.describe import describe_cost
from study.duration import duration
from study.errors import ConfigError
from tests.study.files import accepted
from trainables.probe import Probe

PROBE = Probe(
    build=0.5,
    step=0.02,
    stacked_step=0.01,
    steps=50,
    validation=0.25,
    judgement=2.0,
    memory=GIB // 2,
    own_memory=GIB // 8,
    weights=1 << 20,
    pairs=1 << 19,
)
CHANGES = [
    "search.training.epochs: 10",
    "budget.trials_per_combination: 8",
    "budget.pack: 3",
    "algorithm.report_every: 3",
    "algorithm.pruner: none",
]
LABEL = "linear+mean+triplet"


def made_up(tmp_path, *changes, packs=2, start=1.0):
    study = accepted(tmp_path, *CHANGES, *changes)
    return estimated(study, [Branch(LABEL, 10, PROBE)], packs, start)


def test_a_trial_takes_its_epochs_validations_and_judgement_on_every_fold(tmp_path):
    # Validations after epochs 3, 6 and 9; the last epoch is judged.
    one = 0.5 + 10 * 0.5 + 3 * 0.25 + 2.0
    assert made_up(tmp_path).trials == {LABEL: pytest.approx(2 * one)}


def test_time_is_shared_by_the_packs_and_starts_are_not(tmp_path):
    alone, four = (made_up(tmp_path, packs=packs, start=0.0) for packs in (1, 4))
    assert four.seconds == pytest.approx([seconds / 4 for seconds in alone.seconds])
    started = made_up(tmp_path, packs=1, start=2.0)
    added = started.seconds.low - alone.seconds.low
    assert added > 0
    assert started.seconds.high - alone.seconds.high == pytest.approx(1.9 * added)


def test_the_range_is_no_wider_than_a_factor_of_two(tmp_path):
    found = made_up(tmp_path)
    for of in (found.seconds, found.memory, found.disk):
        assert 1 < of.high / of.low <= 2


def test_pruning_saves_work_and_so_does_reading_no_test(tmp_path):
    whole = made_up(tmp_path).seconds.high
    assert made_up(tmp_path, "algorithm.pruner: median").seconds.high < whole
    assert made_up(tmp_path, "protocol.confirmation: {top: 0}").seconds.high < whole
    assert made_up(tmp_path, "protocol.confirmation: {seeds: 5}").seconds.high > whole


def test_memory_grows_with_packs_and_with_the_trials_of_a_pack(tmp_path):
    one, two = (made_up(tmp_path, packs=packs).memory.low for packs in (1, 2))
    assert two - one == pytest.approx(0.75 * (GIB / 2 + 2 * GIB / 8))


def test_disk_grows_with_the_trials_that_are_kept(tmp_path):
    twice = made_up(tmp_path, "budget.trials_per_combination: 16").disk.low
    per_trial = 0.7 * (0.2 + 2 * 2 * 1.5) * MIB
    assert twice - made_up(tmp_path).disk.low == pytest.approx(8 * per_trial)


@pytest.mark.parametrize(
    ("change", "warning"),
    [
        ("budget.hours: 0.001", "budget.hours: 0.001 is too short for the study"),
        ("budget.trial_minutes: 0.1", f"budget.trial_minutes: 0.1, but a trial of {LABEL} takes"),
        ("budget.memory_gib_per_pack: 0.5", "budget.memory_gib_per_pack: 0.5, but a process takes"),
    ],
)
def test_a_limit_that_will_be_reached_is_warned_of(tmp_path, change, warning):
    (found,) = made_up(tmp_path, change).warnings
    assert found.startswith(warning)
    assert f"warning: {found}" in describe_cost(made_up(tmp_path, change))


def test_limits_that_will_do_are_not_warned_of(tmp_path):
    wide = ["budget.hours: 10.0", "budget.trial_minutes: 10.0", "budget.memory_gib_per_pack: 10.0"]
    assert made_up(tmp_path, *wide).warnings == []


def test_the_typical_configuration_is_in_the_middle_of_the_space(tmp_path):
    (combination,) = accepted(
        tmp_path,
        "search.encoder: {linear: {width: [8, 16, 32]}}",
        "search.loss: {triplet: {level: groups, margin: {low: 0.01, high: 1.0, log: true}}}",
        "search.training.group_size: {low: 2, high: 6, step: 2}",
        "search.training.weight_decay: {low: 0.0, high: 1.0}",
    ).combinations
    nested = typical(combination).nested()
    assert nested["encoder"]["linear"]["width"] == 16
    assert nested["loss"]["triplet"]["margin"] == pytest.approx(0.1)
    assert nested["training"]["group_size"] == 4
    assert nested["training"]["weight_decay"] == 0.5


def test_every_combination_is_probed_in_a_process_of_its_own(tmp_path):
    study = accepted(tmp_path, "search.aggregator: {mean: {}, max: {}}")
    found = cost(study, packs=2)
    assert found.trials.keys() == {LABEL, "linear+max+triplet"}
    assert found.packs == 2
    assert 0 < found.seconds.low < found.seconds.high
    told = describe_cost(found)
    assert told.startswith("cost, with 2 packs at a time on machines like this one:\n  time    ")


def test_a_combination_that_cannot_be_trained_is_named(tmp_path):
    study = accepted(tmp_path)
    (combination,) = study.combinations
    gone = replace(combination, encoder=replace(combination.encoder, fixed={"width": -1}))
    with pytest.raises(ConfigError) as caught:
        cost(replace(study, combinations=[gone]))
    assert str(caught.value).startswith(f"{LABEL}: cannot be trained: RuntimeError: ")


@pytest.mark.parametrize(("seconds", "words"), [(39.6, "40 s"), (1500, "25 min"), (12600, "3.5 h")])
def test_a_duration_is_told_in_the_unit_that_suits_it(seconds, words):
    assert duration(seconds) == words
