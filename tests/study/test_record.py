import json
import math

import pytest

from study.errors import RecordError
from study.manifest import manifest
from study.record import Record, Trial, write_durably
from tests.study.files import accepted
from trainables.attempt import Attempt, Outcome

TRIAL = Trial(
    key="linear+mean+triplet-0000",
    phase="search",
    combination="linear+mean+triplet",
    number=0,
    seeds=(1, 2),
    configuration={"encoder": {"linear": {"width": 16}}},
    proposed_by="random",
)


def outcome(state="complete", **values):
    content = {
        "state": state,
        "reason": "",
        "metrics": {"val/map_at_r.size2": 0.5},
        "member_metrics": [],
        "history": [{"epoch": 1, "time": 1.0, "metrics": {"train/loss": 0.1}}],
        "started": 1.0,
        "ended": 2.0,
    }
    return Outcome(**content | values)


@pytest.fixture
def record(tmp_path):
    return Record.create(tmp_path / "studies" / "small", manifest(accepted(tmp_path)))


def test_a_record_is_read_back_as_it_was_written(record):
    record.plan(TRIAL)
    result = record.publish(TRIAL, 1, outcome(metrics={"a": math.nan, "b": math.inf}))
    again = Record(record.folder)
    assert again.config == record.config
    assert again.trials() == [TRIAL]
    (read,) = again.results()
    assert (read.trial, read.attempt) == (TRIAL, 1)
    assert str(read.outcome) == str(result.outcome)


def test_a_trial_without_a_result_is_planned_and_not_finished(record):
    record.plan(TRIAL)
    assert record.trial(TRIAL.key) == TRIAL
    assert record.result(TRIAL.key) is None
    assert record.results() == []


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"trial": {}}', "\x00"])
def test_a_torn_or_foreign_file_is_no_trial_and_no_result(record, text):
    record.plan(TRIAL)
    for name in ("trial.json", "result.json"):
        (record.trials_folder / TRIAL.key / name).write_text(text)
    assert record.trials() == []
    assert record.results() == []


def test_the_newest_finished_attempt_is_the_one_that_is_published(record):
    record.plan(TRIAL)
    folder = record.trials_folder / TRIAL.key
    attempts = [Attempt.claim(folder) for _ in range(3)]
    assert record.publish_finished(TRIAL) is None
    attempts[0].finish(outcome("failed"))
    attempts[1].finish(outcome())
    result = record.publish_finished(TRIAL)
    assert (result.attempt, result.outcome.state) == (2, "complete")
    assert record.files(result) == folder / "attempt-2"


def test_writing_replaces_the_whole_file_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "file.json"
    write_durably(path, "long old content")
    write_durably(path, "new")
    assert path.read_text() == "new"
    assert [found.name for found in tmp_path.iterdir()] == ["file.json"]


def test_an_extended_record_keeps_its_trials(record):
    record.plan(TRIAL)
    extended = Record.create(record.folder, record.manifest | {"combinations": ["a", "b"]})
    assert extended.trials() == [TRIAL]
    assert extended.manifest["combinations"] == ["a", "b"]


def test_a_folder_without_a_study_says_how_to_make_one(tmp_path):
    with pytest.raises(RecordError) as caught:
        Record(tmp_path / "studies" / "small")
    assert caught.value.problems == ["holds no study; `study launch` makes one"]


@pytest.mark.parametrize(
    ("name", "remedy"), [("smal", "did you mean small?"), ("other", "choose from small")]
)
def test_a_misspelt_name_is_told_the_studies_there_are(record, name, remedy):
    with pytest.raises(RecordError) as caught:
        Record(record.folder.parent / name)
    assert caught.value.problems == [f"holds no study; {remedy}"]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"config": 3}', '{"config": {"name": 1}}'])
def test_a_damaged_manifest_is_refused(record, text):
    (record.folder / "study.json").write_text(text)
    with pytest.raises(RecordError, match="study.json: is damaged"):
        Record(record.folder)


def test_the_manifest_is_json_that_names_versions_and_digests(record):
    content = json.loads((record.folder / "study.json").read_text())
    assert content["combinations"] == ["linear+mean+triplet"]
    assert set(content["digests"]) == {"data", "split"}
    assert {"optuna", "ray", "torch", "python"} <= set(content["versions"])
