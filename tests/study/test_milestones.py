"""A study's metrics trial by trial: those that following writes are those of the end."""

import math
from dataclasses import replace

import pytest

from study.milestones import in_order, milestones, settled
from tests.study import finished_studies

QUALITY = "val/map_at_r.size3"
GAP = "bound/t4_relative_gap.size3"
TESTED = "test/map_at_r.size3"
NAMES = ("mlp+mean+triplet", "mlp+attention+triplet")


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    return finished_studies.copy(tmp_path_factory.mktemp("passed"))


@pytest.fixture(scope="module")
def results(record):
    return record.results()


def values(points, name):
    return [point.value for point in points if point.name == name]


def latest(points):
    return {point.name: point.value for point in points}


def test_states_are_counted_after_every_trial(record, results):
    points = milestones(record, results)
    steps = list(range(1, len(results) + 1))
    assert [point.step for point in points if point.name == "progress/complete"] == steps
    assert values(points, "progress/share") == pytest.approx([n / len(results) for n in steps])
    assert latest(points)["progress/complete"] == 9
    assert latest(points)["progress/pruned"] == 2
    assert latest(points)["progress/failed"] == 0


def test_the_best_never_gets_worse_and_ends_as_the_best_of_all(record, results):
    found = values(milestones(record, results), QUALITY)
    assert found == sorted(found)
    best = max(r.outcome.metrics[QUALITY] for r in results if r.trial.key.endswith("+triplet-0001"))
    assert found[-1] == best


def test_each_combination_has_its_best_and_what_the_test_made_of_it(record, results):
    points = latest(milestones(record, results))
    for name in NAMES:
        below = name.replace("+", " ")
        found = record.result(f"{name}-0001").outcome.metrics
        confirmed = record.result(f"{name}-0001-confirm-1").outcome.metrics
        assert points[f"{QUALITY}/{below}"] == found[QUALITY]
        assert points[f"{GAP}/{below}"] == found[GAP]
        assert points[f"{TESTED}/{below}"] == confirmed[TESTED]


def test_what_is_written_early_is_what_is_written_in_the_end(record, results):
    whole = milestones(record, results)
    for ended in range(len(results) + 1):
        early = milestones(record, in_order(results)[:ended])
        assert early == whole[: len(early)]


def test_a_trial_that_was_published_before_and_not_read_is_waited_for(results):
    ordered = in_order(results)
    assert settled(results) == ordered
    assert settled([*ordered[:3], *ordered[4:]]) == ordered[:3]
    assert settled(ordered[1:]) == []


def test_results_of_an_earlier_version_are_in_the_order_in_which_they_ended(record, results):
    old = [replace(result, order=None) for result in results[:4]]
    new = [replace(result, order=number) for number, result in enumerate(results[4:], start=4)]
    ordered = settled([*new[::-1], *old])
    assert ordered[4:] == new
    ended = [result.outcome.ended for result in ordered[:4]]
    assert ended == sorted(ended)


def test_times_never_go_back_though_a_workers_clock_is_behind(record, results):
    ordered = in_order(results)
    late = replace(ordered[-1], outcome=replace(ordered[-1].outcome, ended=1.0))
    times = [point.milliseconds for point in milestones(record, [*ordered[:-1], late])]
    assert times == sorted(times)


def test_a_gap_that_the_best_has_not_is_told_once(record, results):
    first, second = (record.result(f"{name}-0001") for name in NAMES)
    metrics = {name: first.outcome.metrics[name] for name in (QUALITY, GAP)}
    better = {QUALITY: metrics[QUALITY] + 0.1, "val/other": 1.0}
    chosen = [
        replace(first, order=0),
        replace(second, order=1, outcome=replace(second.outcome, metrics=better)),
        replace(record.result(f"{NAMES[0]}-0000"), order=2),
    ]
    found = values(milestones(record, chosen), GAP)
    assert found[0] == metrics[GAP]
    assert math.isnan(found[1])
    assert len(found) == 2
