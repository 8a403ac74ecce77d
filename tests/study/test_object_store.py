"""A study whose folder lies on an object store: its record, its locks, and a whole launch."""

import json
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest
from mlflow import MlflowClient

from study.errors import RecordError
from study.lease import Lease, is_held
from study.manifest import manifest
from study.record import Record, Trial
from study.tracking_server import exclusive
from tests.level import everything
from tests.study import launches, postgres
from tests.study.files import accepted, refused
from tests.study.launches import STUDY, write_study
from tests.trainables import object_store
from trainables.attempt import Attempt, Outcome
from trainables.places import place

NUMBERS = count()
TRIAL = Trial("linear+mean+triplet-0000", "search", "linear+mean+triplet", 0, (1, 2), {})
OUTCOME = Outcome("complete", "", {"val/map_at_r.size2": 0.5}, [], [], 1.0, 2.0)


@pytest.fixture(scope="module")
def bucket():
    with object_store.serving() as bucket:
        yield bucket


@pytest.fixture
def root(bucket):
    return place(f"{bucket}/{next(NUMBERS)}")


@pytest.fixture
def sections(tmp_path):
    """What a study must say of itself to lie on an object store."""
    return [
        f"storage.database: sqlite:///{tmp_path}/study.db",
        f"tracking.uri: sqlite:///{tmp_path}/mlflow.db",
    ]


@pytest.fixture
def record(root, tmp_path, sections):
    return Record.create(root / "small", manifest(accepted(tmp_path, *sections, root=root)))


def test_a_study_without_database_and_tracking_address_is_refused_there(tmp_path, root):
    assert refused(tmp_path, root=root) == [
        "storage.database: is missing; Optuna's journal cannot lie on an object store, say "
        "postgresql://HOST/NAME",
        "tracking.uri: is missing; MLflow's SQLite file cannot lie on an object store, say "
        "http(s)://HOST:PORT",
    ]


def test_a_bucket_that_is_not_there_is_refused(tmp_path, sections, bucket):
    (problem,) = refused(tmp_path, *sections, root=place("s3://nowhere/studies"))
    assert problem.startswith("--root s3://nowhere/studies: cannot hold studies; ")
    assert "bucket does not exist" in problem


def test_an_unknown_kind_of_store_is_refused(called):
    code, _, errors = called("status", "small", "--root", "nonsense://a/b")
    assert code == 2
    assert "nonsense" in errors


def test_a_study_that_is_not_there_is_told(called, root, record):
    code, _, errors = called("status", "smal", "--root", root)
    assert code == 2
    assert errors == f"{root}/smal: holds no study; did you mean small?\n"


def test_a_record_is_read_back_as_it_was_written(record):
    record.plan(TRIAL)
    assert (record.trials(), record.results()) == ([TRIAL], [])
    Attempt.claim(record.trials_folder / TRIAL.key).finish(OUTCOME)
    result = record.publish_finished(TRIAL)
    again = Record(place(str(record.folder)))
    assert again.config == record.config
    assert again.results() == [result] == [record.result(TRIAL.key)]
    grown = again.extend({**again.manifest, "combinations": ["a", "b"]})
    assert (grown.manifest["combinations"], grown.identity) == (["a", "b"], record.identity)


def test_a_record_is_created_once_however_many_want_to(root, tmp_path, sections):
    study = accepted(tmp_path, *sections, root=root)
    with ThreadPoolExecutor(4) as pool:
        wanted = [manifest(study) for _ in range(4)]
        records = list(pool.map(Record.create, 4 * [root / "small"], wanted))
    assert len({record.identity for record in records}) == 1


def test_one_driver_and_one_writer_to_mlflow_are_let_in(record):
    with Lease(record), exclusive(record):
        assert is_held(record)
        with pytest.raises(RecordError, match="is in use by process"), Lease(record):
            pass
        with pytest.raises(RecordError, match="is being written to MLflow"), exclusive(record):
            pass
    assert not is_held(record)
    with exclusive(record):
        pass


@pytest.fixture(scope="module")
def server():
    with postgres.serving() as server:
        yield server


@pytest.mark.ray
@everything
def test_a_study_on_an_object_store_is_launched_and_ends_whole(tmp_path, root, server, called):
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    text = STUDY.replace("trials_per_combination: 8", "trials_per_combination: 2")
    text += f"storage: {{database: {server.database()!r}}}\ntracking: {{uri: {uri!r}}}\n"
    file = write_study(tmp_path, text)
    folder = root / "small"
    ended = launches.run(file, "--root", str(root))
    assert ended.returncode == 0, ended.stderr
    assert f"report   {folder}/report/report.html" in ended.stdout
    assert (folder / "report" / "report.html").read_text().startswith("<!")
    results = Record(folder).results()
    # Two combinations, each with confirmation, ensemble and untrained twin; and the raw points.
    assert len(results) == 4 + 3 * 2 + 1
    assert {result.outcome.state for result in results} <= {"complete", "pruned"}
    assert not list(tmp_path.glob("studies*"))
    client = MlflowClient(uri)
    (experiment,) = [e for e in client.search_experiments() if e.name == "small"]
    assert experiment.artifact_location == f"{root}/mlartifacts/small"
    runs = client.search_runs([experiment.experiment_id])
    assert len(runs) == 1 + len(results)
    names = {"weights.safetensors", "bounds.parquet", "bound_gap.png"}
    searched = [run for run in runs if run.data.tags.get("phase") == "search"]
    complete = [run for run in searched if run.data.tags["state"] == "complete"]
    files = {artifact.path for artifact in client.list_artifacts(complete[0].info.run_id)}
    assert names <= files
    for verb in ("status", "sync", "report", "export"):
        code, output, errors = called(verb, "small", "--root", root)
        assert (code, errors) == (0, ""), verb
        assert "small" in output
    best = folder / "export" / "best"
    assert {path.name for path in best.iterdir()} == {
        "configuration.yaml",
        "card.md",
        "model.pt2",
        "weights.safetensors",
    }
    assert json.loads((folder / "study.json").read_text())["identity"] == Record(folder).identity
