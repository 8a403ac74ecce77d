"""Addresses that open a study in MLflow's pages."""

from study.sync import sync
from study.ui_links import links
from tests.study import finished_studies
from tests.study.mlflow_contents import database, experiment


def test_every_study_has_an_address_of_its_table_and_of_its_charts(tmp_path):
    record = finished_studies.copy(tmp_path, phase="nothing")
    sync(record, None)
    uri = database(record)
    page = (
        f"http://127.0.0.1:5000/#/experiments/{experiment(uri)}/runs?workflowType=machine_learning"
    )
    assert links("http://127.0.0.1:5000/", uri) == [
        f"tiny, best trials: {page}&viewStateShareKey=study-best",
        f"tiny, charts: {page}&viewStateShareKey=study-charts&compareRunsMode=CHART",
    ]


def test_what_is_no_study_has_none(tmp_path):
    record = finished_studies.copy(tmp_path, phase="nothing")
    assert links("http://127.0.0.1:5000/", database(record)) == []


def test_a_database_that_does_not_answer_has_none(tmp_path):
    assert links("http://127.0.0.1:5000/", f"sqlite:///{tmp_path}/nowhere/mlflow.db") == []
