"""A study from its file to its export, launched as a user does, and launched again."""

import json
import shutil
from collections import Counter
from itertools import accumulate
from pathlib import Path

import optuna
import pytest

from tests.level import everything
from tests.study.launches import STUDY, published, run, write_study
from tests.study.mlflow_contents import artifacts

pytestmark = pytest.mark.ray
TRIALS, TESTED, PACK = 16, 7, 2
COMBINATIONS = ["mlp+max+triplet", "mlp+mean+triplet"]


@pytest.fixture(scope="module")
def launched(tmp_path_factory):
    """A finished study: its file and what the terminal showed."""
    file = write_study(tmp_path_factory.mktemp("launched"))
    return file, run(file)


def folder(file: Path) -> Path:
    return file.parent / "studies" / "small"


def states(file: Path) -> Counter[str]:
    results = [json.loads(path.read_text()) for path in published(file)]
    return Counter(result["outcome"]["state"] for result in results)


def runs(file: Path):
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{file.parent / 'studies' / 'mlflow.db'}")
    experiments = [e.experiment_id for e in client.search_experiments() if e.name == "small"]
    return client.search_runs(experiments)


def optuna_trials(file: Path):
    from study.record import Record
    from study.storage import open_storage

    storage = open_storage(Record(folder(file)))
    return {
        name: optuna.load_study(study_name=name, storage=storage).get_trials()
        for name in optuna.get_all_study_names(storage)
    }


def check_whole(file: Path) -> None:
    """Exactly the planned trials, each finished once, in the record, in Optuna and in MLflow."""
    assert len(published(file)) == TRIALS + TESTED
    assert states(file)["failed"] == 0
    for trial in (folder(file) / "trials").iterdir():
        attempts = sorted(trial.glob("attempt-*"), key=lambda path: int(path.name[8:]))
        finished = [attempt for attempt in attempts if (attempt / "outcome.json").exists()]
        # Not trained again after completion: no attempt follows the one that finished.
        assert finished == attempts[-1:]
    proposed = optuna_trials(file)
    assert sorted(proposed) == COMBINATIONS
    for trials in proposed.values():
        assert len(trials) == TRIALS / len(COMBINATIONS)
        assert all(trial.state.is_finished() for trial in trials)
        assert len({json.dumps(trial.params, sort_keys=True) for trial in trials}) == len(trials)
    tracked = runs(file)
    parents = [run for run in tracked if "mlflow.parentRunId" not in run.data.tags]
    assert len(parents) == 1
    children = [
        run for run in tracked if run.data.tags.get("mlflow.parentRunId") == parents[0].info.run_id
    ]
    assert len(children) == TRIALS + 1  # and the raw points
    assert len(tracked) == 1 + TRIALS + TESTED
    assert {run.info.status for run in tracked} == {"FINISHED"}


def test_a_study_ends_whole_and_says_where_everything_is(launched):
    file, ended = launched
    assert ended.returncode == 0, ended.stderr
    check_whole(file)
    for shown in (*COMBINATIONS, "report ", "export ", "study ui", "MLflow"):
        assert shown in ended.stdout
    assert "16/16" in ended.stdout or "16 trials" in ended.stdout
    assert (folder(file) / "report" / "report.html").exists()
    exported = {path.name for path in (folder(file) / "export").iterdir()}
    assert exported == {*COMBINATIONS, "best"}


def test_progress_comes_as_plain_lines_where_there_is_no_terminal(launched):
    _, ended = launched
    assert "23/23 trials:" in ended.stderr
    assert "\x1b" not in ended.stderr + ended.stdout


def test_every_tracked_trial_has_parameters_and_grouped_metrics(launched):
    file, _ = launched
    trials = [run for run in runs(file) if "state" in run.data.tags]
    assert {run.data.tags["state"] for run in trials} == {"complete", "pruned"}
    trained = [run for run in trials if run.data.tags["phase"] in ("search", "confirmation")]
    assert len(trained) == TRIALS + len(COMBINATIONS)
    for tracked in trained:
        assert "training.learning_rate" in tracked.data.params
        quality = "val" if tracked.data.tags["phase"] == "search" else "test"
        prefixes = {name.split("/")[0] for name in tracked.data.metrics}
        assert prefixes == {"bound", "train", quality}
        if tracked.data.metrics["bound/covered"]:
            assert tracked.data.metrics["bound/violations"] == 0


def test_the_tracked_study_carries_its_report(launched):
    file, _ = launched
    (study,) = [run for run in runs(file) if "mlflow.parentRunId" not in run.data.tags]
    page = folder(file) / "report" / "report.html"
    kept = artifacts(f"sqlite:///{file.parent / 'studies' / 'mlflow.db'}", study, "report")
    assert kept["report/report.html"] == page.stat().st_size


@everything
def test_launching_a_finished_study_again_changes_nothing(launched):
    file, _ = launched
    before = {path: path.stat().st_mtime_ns for path in published(file)}
    again = run(file)
    assert again.returncode == 0, again.stderr
    assert {path: path.stat().st_mtime_ns for path in published(file)} == before
    check_whole(file)


def test_two_processes_train_at_the_same_time(launched):
    file, _ = launched
    outcomes = [json.loads(path.read_text())["outcome"] for path in published(file)]
    begun = [(outcome["started"], 1) for outcome in outcomes]
    ended = [(outcome["ended"], -1) for outcome in outcomes]
    at_once = list(accumulate(change for _, change in sorted(begun + ended)))
    assert max(at_once) == 2 * PACK
    # Nor is a process ever thrown away with the trials it was given.
    assert not list((folder(file) / "trials").glob("*/attempt-2"))


def test_a_change_of_the_study_file_is_refused(launched, tmp_path):
    file, _ = launched
    write_study(file.parent, STUDY.replace("epochs: 6", "epochs: 7"))
    refused = run(file)
    write_study(file.parent)
    assert refused.returncode == 2
    assert refused.stderr.endswith(
        "search.training.epochs: was 6, is now 7; give the new study another name\n"
    )


@everything
def test_a_larger_budget_extends_a_study(launched, tmp_path):
    file, _ = launched
    shutil.copytree(file.parent / "studies", tmp_path / "studies")
    larger = write_study(
        tmp_path, STUDY.replace("trials_per_combination: 8", "trials_per_combination: 9")
    )
    before = {path.parent.name: path.read_bytes() for path in published(larger)}
    assert run(larger).returncode == 0
    after = {path.parent.name: path.read_bytes() for path in published(larger)}
    assert before.items() <= after.items()
    new = {"mlp+max+triplet-0008", "mlp+mean+triplet-0008"}
    assert new <= after.keys() - before.keys()
    searched = [key for key in after if key[-5:-4] == "-"]
    assert len(searched) == TRIALS + len(new)
