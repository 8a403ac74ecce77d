import json
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from study.errors import RecordError
from study.manifest import manifest
from study.record import Record, Trial
from tests.study.files import accepted
from trainables.attempt import Attempt, Outcome
from trainables.splits import LeakError

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


def test_a_search_that_has_read_the_test_points_is_refused(record):
    record.plan(TRIAL)
    read = outcome(metrics={"val/map_at_r.size2": 0.5, "test/map_at_r.size2": 0.5})
    with pytest.raises(LeakError, match="must not read the test points"):
        record.publish(TRIAL, 1, read)
    assert record.results() == []
    confirmation = replace(TRIAL, key=f"{TRIAL.key}-confirm-1", phase="confirmation")
    record.plan(confirmation)
    assert record.publish(confirmation, 1, read).outcome == read


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
    for state in ("failed", "complete"):
        Attempt.claim(folder).finish(outcome(state))
    Attempt.claim(folder)
    result = record.publish_finished(TRIAL)
    assert (result.attempt, result.outcome.state) == (2, "complete")
    assert record.files(result) == folder / "attempt-2"


def test_an_extended_record_keeps_its_trials(record):
    record.plan(TRIAL)
    grown = record.manifest | {"combinations": ["a", "b"], "identity": "another"}
    extended = record.extend(grown)
    assert extended.trials() == [TRIAL]
    assert extended.manifest["combinations"] == ["a", "b"]
    assert extended.identity == record.identity


def test_a_record_is_created_once_however_many_want_to(tmp_path):
    studies = [manifest(accepted(tmp_path)) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        records = list(pool.map(Record.create, 8 * [tmp_path / "small"], studies))
    (identity,) = {record.identity for record in records}
    assert identity in {study["identity"] for study in studies}
    assert sorted(path.name for path in (tmp_path / "small").iterdir()) == ["study.json", "trials"]


def test_two_records_have_two_identities(tmp_path):
    study = accepted(tmp_path)
    first, second = (Record.create(tmp_path / name, manifest(study)) for name in "ab")
    assert first.identity != second.identity
    assert Record(first.folder).identity == first.identity


def test_nothing_is_planned_or_published_past_the_guard(record):
    def refuse():
        raise RecordError(record.folder, ["is somebody else's"])

    record.plan(TRIAL)
    record.guard = refuse
    with pytest.raises(RecordError):
        record.publish(TRIAL, 1, outcome())
    with pytest.raises(RecordError):
        record.plan(replace(TRIAL, key="another"))
    assert [path.name for path in record.trials_folder.glob("*/*")] == ["trial.json"]


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
