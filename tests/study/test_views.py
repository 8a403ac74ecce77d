"""The views of a study name only what its runs have, and filters that MLflow understands."""

import json

import pytest

from study.saved_view import tags
from study.views import views
from tests.study import finished_studies
from tests.study.mlflow_contents import client, database, experiment

FOUND = {
    "study-best": 2,
    "study-charts": 2,
    "study-progress": 1,
    "study-combinations": 2,
    "study-curves": 2,
    "study-confirmed": 2,
    "study-failed": 0,
    "study-all": 12,
}
"""Runs of the finished study that each view shows."""
LONGEST = 20_000


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    from study.sync import sync

    record = finished_studies.copy(tmp_path_factory.mktemp("viewed"))
    sync(record, None)
    return record


@pytest.fixture(scope="module")
def known(record):
    return views(record.config, record.manifest["combinations"])


def runs_of(record, view):
    uri = database(record)
    order = [f"metrics.`{view.order}` DESC"] if view.order else []
    return list(client(uri).search_runs([experiment(uri)], view.filter, order_by=order))


def test_every_view_finds_its_runs(record, known):
    assert {view.key: len(runs_of(record, view)) for view in known} == FOUND


def test_every_column_is_of_some_run_unless_nothing_has_failed(record, known):
    for view in (view for view in known if FOUND[view.key]):
        found = runs_of(record, view)
        has = {f"metrics.`{name}`" for run in found for name in run.data.metrics}
        has |= {f"params.`{name}`" for run in found for name in run.data.params}
        has |= {f"tags.`{name}`" for run in found for name in run.data.tags}
        assert set(view.columns) - has <= {"attributes.`Models`", "tags.`reason`"}


def test_every_chart_is_of_metrics_that_its_runs_have(record, known):
    for view in (view for view in known if view.charts):
        has = {name for run in runs_of(record, view) for name in run.data.metrics}
        for chart in view.charts:
            axes = [chart[axis]["key"] for axis in ("xaxis", "yaxis") if axis in chart]
            own = [chart["metricKey"]] if "metricKey" in chart else axes
            names = {*chart.get("selectedMetricKeys", own), *chart.get("selectedMetrics", ())}
            assert names <= has


def test_the_best_trial_comes_first(record, known):
    (best,) = (view for view in known if view.key == "study-best")
    found = [run.data.metrics[best.order] for run in runs_of(record, best)]
    assert found == sorted(found, reverse=True)


def test_options_that_are_searched_as_numbers_are_columns(tmp_path):
    from tests.study.files import accepted

    study = accepted(
        tmp_path,
        "search.training.learning_rate: {low: 0.001, high: 0.1}",
        "search.training.group_size: [2, 3]",
    )
    best = views(study.config, [c.label for c in study.combinations])[0]
    assert "params.`training.learning_rate`" in best.columns
    assert "params.`training.epochs`" not in best.columns
    assert "params.`training.group_size`" in best.columns


def test_a_study_of_many_combinations_has_views_that_mlflow_takes(record):
    labels = [f"groupface-conv4+multi_head_attention+library-loss{n}" for n in range(150)]
    written = tags(views(record.config, labels))
    assert max(map(len, written.values())) <= LONGEST
    assert len(json.dumps(written)) > 1000
