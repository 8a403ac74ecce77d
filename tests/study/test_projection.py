"""What a study and its trials become in MLflow: values only, no server."""

from dataclasses import replace

import pytest

from tests.study import finished_studies

SEARCHED = "mlp+mean+triplet-0001"


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    return finished_studies.copy(tmp_path_factory.mktemp("projected"))


def test_values_that_are_not_finite_are_left_out_and_named(record):
    from study.projection import of_trial

    result = record.result(SEARCHED)
    metrics = {**result.outcome.metrics, "bound/t4.size3": float("nan"), "val/x": float("inf")}
    outcome = replace(result.outcome, metrics=metrics)
    projection = of_trial(record, replace(result, outcome=outcome))
    assert projection.tags["left_out"] == "bound/t4.size3 val/x"
    assert {"bound/t4.size3", "val/x"}.isdisjoint(point.name for point in projection.points)


def test_parameters_too_long_for_mlflow_are_left_out_and_named(record):
    from study.projection import of_trial

    result = record.result(SEARCHED)
    configuration = {**result.trial.configuration, "loss": {"triplet": {"level": "x" * 7000}}}
    trial = replace(result.trial, configuration=configuration)
    projection = of_trial(record, replace(result, trial=trial))
    assert projection.tags["left_out"] == "loss.triplet.level"
    assert "loss.triplet.level" not in projection.parameters


def test_a_final_metric_that_was_validated_last_is_one_point(record):
    from study.projection import of_trial

    points = of_trial(record, record.result(SEARCHED)).points
    assert len(points) == len(set(points))
    assert sum(point.name == "val/map_at_r.size3" for point in points) == 2
    assert sum(point.name == "val/map_at_r.size1" for point in points) == 1


def test_the_digest_tells_whether_anything_differs(record):
    from study.projection import of_trial

    result = record.result(SEARCHED)
    assert of_trial(record, result).digest == of_trial(record, result).digest
    assert of_trial(record, replace(result, attempt=2)).digest != of_trial(record, result).digest


def test_a_study_is_whole_only_with_its_confirmations(record):
    from study.projection import is_whole

    results = record.results()
    assert is_whole(record, results)
    for missing in results:
        assert not is_whole(record, [result for result in results if result != missing])


@pytest.mark.parametrize(("at_work", "whole"), [(True, True), (False, True), (False, False)])
def test_the_status_of_a_study(record, at_work, whole):
    from study.projection import of_study

    results = record.results() if whole else record.results()[:2]
    projection = of_study(record, results, is_at_work=at_work)
    assert projection.status == ("RUNNING" if at_work else "FINISHED" if whole else "KILLED")
    assert (projection.ended is None) == at_work


def test_a_study_without_trials_has_a_beginning_that_does_not_move(record):
    from study.projection import of_study

    first, second = (of_study(record, [], is_at_work=True) for _ in range(2))
    assert first == second
    assert first.points == []


def test_a_run_never_ends_before_it_began_though_the_clock_was_set_back(record):
    from study.projection import of_trial

    result = record.result(SEARCHED)
    outcome = replace(result.outcome, ended=result.outcome.started - 3600)
    projection = of_trial(record, replace(result, outcome=outcome))
    assert projection.ended == projection.started
