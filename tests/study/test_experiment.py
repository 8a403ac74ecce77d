"""A study's experiment: described and given views once, under any name that a study may have."""

import json

import pytest
from markdown_it import MarkdownIt

from study import experiment, notes
from study.record import Record
from tests.study import finished_studies, mlflow_contents
from tests.study.mlflow_contents import client, database

NAMES = ["Шрифт_1.0-β", "_-_", "7", "digits..2"]


def named(root, name):
    """A finished study under another name."""
    finished_studies.copy(root)
    (root / "tiny").rename(root / name)
    manifest = json.loads((root / name / "study.json").read_text())
    manifest["config"]["name"] = name
    (root / name / "study.json").write_text(json.dumps(manifest))
    return Record(root / name)


def opened(record):
    return experiment.opened(client(database(record)), record, None)


def tags_of(record):
    return client(database(record)).get_experiment(opened(record)).tags


@pytest.fixture
def record(tmp_path):
    return finished_studies.copy(tmp_path, phase="nothing")


@pytest.mark.parametrize("name", NAMES)
def test_a_study_of_any_name_has_experiment_runs_and_registry(tmp_path, name):
    from study.sync import sync

    record = named(tmp_path, name)
    said = sync(record, None)
    uri = database(record)
    assert "12 runs and 2 models" in said
    number = mlflow_contents.experiment(uri, name)
    assert len(client(uri).search_runs([number])) == 12
    assert client(uri).get_registered_model(name).aliases["best"]
    (own,) = client(uri).search_runs([number], "tags.phase = 'study'")
    assert own.info.run_name == name
    assert sync(record, None) == said


def test_the_note_links_to_every_view(record):
    number = opened(record)
    note = tags_of(record)[notes.TAG]
    html = MarkdownIt("commonmark").render(note)
    for name, value in tags_of(record).items():
        if name.startswith("mlflow.sharedViewState."):
            key = name.removeprefix("mlflow.sharedViewState.")
            assert f'<a href="#/experiments/{number}/runs?' in html
            assert f"viewStateShareKey={key}" in html
            assert json.loads(value)["name"] in html


def test_a_source_with_markup_is_shown_as_it_is(record):
    data = record.config.data.model_copy(update={"source": "my <b>[data](http://x)</b>.parquet"})
    record.config = record.config.model_copy(update={"data": data})
    html = MarkdownIt("commonmark", {"html": True}).render(experiment.note(record, "1"))
    assert "&lt;b&gt;[data](http://x)&lt;/b&gt;.parquet" in html


def test_what_a_user_wrote_stays_until_the_study_says_something_new(record):
    mlflow, number = client(database(record)), opened(record)
    mlflow.set_experiment_tag(number, notes.TAG, "ours, do not touch")
    assert tags_of(record)[notes.TAG] == "ours, do not touch"
    record.manifest["combinations"].append("mlp+max+triplet")
    assert "3 combinations" in tags_of(record)[notes.TAG]


def test_a_deleted_experiment_is_restored(record):
    mlflow, number = client(database(record)), opened(record)
    mlflow.delete_experiment(number)
    assert opened(record) == number
    assert mlflow.get_experiment(number).lifecycle_stage == "active"


def test_a_view_that_the_server_refuses_is_left_out(record):
    record.manifest["combinations"] += [f"mlp+mean+library-{'x' * 60}{n}" for n in range(400)]
    tags = tags_of(record)
    assert "mlflow.sharedViewState.study-progress" not in tags
    assert "mlflow.sharedViewState.study-best" in tags
    assert experiment.DIGEST in tags
