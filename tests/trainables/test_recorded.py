from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from tests.trainables.trials import (
    CONVOLUTIONAL,
    RULES,
    VIEWED,
    clouds,
    images,
    nested,
    same,
    study_of,
    task_of,
    timeless,
)
from trainables.attempt import Attempt, numbers
from trainables.configuration import Configuration
from trainables.data import point_set
from trainables.limits import Limits
from trainables.model import GroupModel
from trainables.recorded import EXAMPLE_POINTS, RecordedTrial
from trainables.splits import Split
from trainables.training import TrialRun

KINDS = {"attention": {}, "views": VIEWED, "batch normalisation": CONVOLUTIONAL}
PRODUCTS = ["bounds.parquet", "example.safetensors", "outcome.json", "weights.safetensors"]


def data_of(kind):
    return study_of(images() if kind == "batch normalisation" else clouds())


def recorded(folder, kind="attention", key="trial", study=None, **training):
    task = task_of(key, KINDS[kind], **training)
    return RecordedTrial(task, study or data_of(kind), RULES, folder)


def to_the_end(*trials):
    while unfinished := [trial for trial in trials if trial.outcome is None]:
        for trial in unfinished:
            trial.step()


def files_of(trial):
    return sorted(path.name for path in trial.attempt.folder.iterdir())


@pytest.fixture(scope="module", params=KINDS)
def finished(request, tmp_path_factory):
    """The kind of a trial, and the trial after its end."""
    torch.manual_seed(0)
    trial = recorded(tmp_path_factory.mktemp("trials"), request.param)
    to_the_end(trial)
    return request.param, trial


def test_a_complete_trial_leaves_its_products_and_nothing_else(finished):
    _, trial = finished
    assert trial.outcome.state == "complete"
    assert files_of(trial) == PRODUCTS


def test_the_outcome_is_that_of_the_run_itself(finished):
    kind, trial = finished
    run = TrialRun(task_of("trial", KINDS[kind]), data_of(kind), RULES)
    assert timeless(trial.outcome) == timeless(run.run())
    assert (trial.epochs, trial.quality) == (run.epochs, run.quality)
    weights = {
        f"{member}.{name}": tensor
        for member, model in enumerate(run.models)
        for name, tensor in model.state_dict().items()
    }
    assert same(load_file(trial.attempt.folder / "weights.safetensors"), weights)


def test_the_outcome_is_written_last(finished):
    _, trial = finished
    times = {name: (trial.attempt.folder / name).stat().st_mtime_ns for name in PRODUCTS}
    assert times["outcome.json"] == max(times.values())


def test_what_cannot_be_written_is_an_error_of_the_process_and_no_outcome_of_the_trial(tmp_path):
    trial = recorded(tmp_path, epochs=1)
    (trial.attempt.folder / "bounds.parquet").mkdir()
    with pytest.raises(OSError, match="bounds"):
        trial.step()
    assert trial.outcome is None
    assert Attempt.finished(trial.attempt.trial_folder) is None


def test_a_checkpoint_that_cannot_be_written_costs_nothing_but_itself(tmp_path):
    trial = recorded(tmp_path)
    trial.step()
    trial.attempt.folder.rename(tmp_path / "elsewhere")
    trial.checkpoint()
    (tmp_path / "elsewhere").rename(trial.attempt.folder)
    to_the_end(trial)
    assert trial.outcome.state == "complete"


@pytest.mark.parametrize(("limit", "kept"), [(1, False), (1 << 30, True)])
def test_a_checkpoint_larger_than_its_share_of_the_disk_is_not_kept(tmp_path, limit, kept):
    trial = RecordedTrial(task_of(), study_of(), RULES, tmp_path, Limits(checkpoint=limit))
    trial.step()
    trial.checkpoint()
    assert trial.attempt.checkpoint_path.exists() is kept


def test_the_example_is_reproduced_from_the_weights(finished):
    kind, trial = finished
    folder, study = trial.attempt.folder, data_of(kind)
    model = GroupModel(
        Configuration.from_nested(nested(KINDS[kind])), study.points.shape, RULES.unit_length
    )
    weights = load_file(folder / "weights.safetensors")
    of_first = {name[2:]: value for name, value in weights.items() if name.startswith("0.")}
    model.load_state_dict(of_first)
    example = load_file(folder / "example.safetensors")
    mask = torch.ones(example["points"].shape[:2], dtype=torch.bool)
    found = model.eval()(example["points"], mask)
    assert torch.equal(found, example["embeddings"])


def test_the_example_shows_groups_held_out_from_the_first_member(finished):
    kind, trial = finished
    study = data_of(kind)
    points = load_file(trial.attempt.folder / "example.safetensors")["points"]
    # Three classes are held out from the first fold.
    assert points.shape == (3, EXAMPLE_POINTS, *study.points.shape)
    held_out = study.points.take(study.folds[0].held_out)
    same_point = (points.flatten(0, 1)[:, None] == held_out).flatten(2).all(2)
    assert same_point.any(1).all()


@pytest.mark.parametrize("kind", ["attention", "batch normalisation"])
def test_a_confirmation_keeps_a_reference_where_the_theorem_covers_its_aggregator(tmp_path, kind):
    study = data_of(kind)
    task = task_of("trial", KINDS[kind], phase="confirmation", seeds=(1,), epochs=1)
    trial = RecordedTrial(task, study, RULES, tmp_path)
    to_the_end(trial)
    path = trial.attempt.folder / "reference.safetensors"
    assert path.exists() is (kind == "attention")
    if path.exists():
        kept, metrics = load_file(path), trial.outcome.metrics
        assert kept["m_star"].item() == max(metrics[f"bound/m_star.size{n}"] for n in (1, 2))
        held_out = study.final.held_out
        assert kept["labels"].tolist() == study.points.labels[held_out].tolist()
        model = GroupModel(
            Configuration.from_nested(task.configuration), study.points.shape, RULES.unit_length
        )
        weights = load_file(trial.attempt.folder / "weights.safetensors")
        model.load_state_dict({name[2:]: value for name, value in weights.items()})
        found = model.embed_all(study.points.take(held_out))
        torch.testing.assert_close(kept["embeddings"], found)


def test_the_bound_table_names_folds_and_classes(finished):
    kind, trial = finished
    study = data_of(kind)
    table = pq.read_table(trial.attempt.folder / "bounds.parquet")
    assert {"fold", "class_name", "size"} <= set(table.column_names)
    assert "label" not in table.column_names
    rows = zip(*(table[name].to_pylist() for name in ("fold", "class_name", "size")), strict=True)
    held_out = {
        (fold, study.points.classes[label], size)
        for fold, split in enumerate(study.folds)
        for label in study.points.labels[split.held_out]
        for size in RULES.protocol.sizes
    }
    assert set(rows) == held_out


def test_a_finished_trial_is_finished_from_the_start(finished):
    kind, trial = finished
    folder = trial.attempt.trial_folder
    again = recorded(folder.parent, kind)
    assert again.outcome == trial.outcome
    assert numbers(folder) == [1]


@pytest.mark.parametrize("kind", KINDS)
def test_a_later_attempt_ends_as_an_uninterrupted_one(kind, tmp_path):
    uninterrupted = recorded(tmp_path / "uninterrupted", kind)
    to_the_end(uninterrupted)
    first = recorded(tmp_path, kind)
    first.step()
    first.checkpoint()
    assert files_of(first) == ["checkpoint.pt"]
    second = recorded(tmp_path, kind)
    second.step()
    assert second.epochs == 4
    second.checkpoint()
    third = recorded(tmp_path, kind)
    to_the_end(third)
    assert third.attempt.number == 3
    assert timeless(third.outcome) == timeless(uninterrupted.outcome)
    for name in ("weights.safetensors", "example.safetensors"):
        files = [load_file(trial.attempt.folder / name) for trial in (third, uninterrupted)]
        assert same(*files)
    bounds = [pq.read_table(t.attempt.folder / "bounds.parquet") for t in (third, uninterrupted)]
    assert repr(bounds[0].to_pydict()) == repr(bounds[1].to_pydict())  # NaN beside NaN included


def test_work_since_the_checkpoint_is_done_again(tmp_path):
    first = recorded(tmp_path)
    first.step()
    first.checkpoint()
    first.step()
    second = recorded(tmp_path)
    second.step()
    assert (second.epochs, second.quality) == (first.epochs, first.quality)


def test_a_trial_that_has_not_begun_or_has_ended_saves_no_checkpoint(tmp_path, finished):
    trial = recorded(tmp_path)
    trial.checkpoint()
    assert files_of(trial) == []
    finished[1].checkpoint()
    assert files_of(finished[1]) == PRODUCTS


def test_a_stop_order_prunes_with_the_metrics_so_far(tmp_path):
    trial = recorded(tmp_path)
    trial.step()
    trial.step("pruned after epoch 2")
    outcome = trial.outcome
    assert (outcome.state, outcome.reason) == ("pruned", "pruned after epoch 2")
    assert [validation["epoch"] for validation in outcome.history] == [2]
    assert outcome.metrics["val/map_at_r.size2"] == trial.quality
    assert files_of(trial) == ["outcome.json"]


def test_a_failure_is_recorded_and_the_others_go_on(tmp_path):
    healthy, alone = recorded(tmp_path, key="healthy"), recorded(tmp_path, key="alone")
    diverging = recorded(tmp_path, key="diverging", learning_rate=1e38)
    to_the_end(healthy, diverging)
    to_the_end(alone)
    assert (diverging.outcome.state, diverging.outcome.reason) == (
        "failed",
        "the loss became nan in epoch 1",
    )
    assert files_of(diverging) == ["error.txt", "outcome.json"]
    assert timeless(healthy.outcome) == timeless(alone.outcome)


@pytest.mark.parametrize("has_more", [True, False])
def test_a_trial_that_lacks_memory_goes_on_in_a_later_attempt_where_there_is_more(
    tmp_path, monkeypatch, has_more
):
    def exhaust(run, trained=None):
        raise torch.OutOfMemoryError("no room for 8 GiB")

    limits = Limits(has_more_memory=has_more)
    trial = RecordedTrial(task_of(), study_of(), RULES, tmp_path, limits)
    trial.step()
    trial.checkpoint()
    with monkeypatch.context() as patch:
        patch.setattr(TrialRun, "advance", exhaust)
        trial.step()
    assert (trial.is_over, trial.lacks_memory) == (True, has_more)
    assert trial.run is None
    if has_more:
        trial.checkpoint()  # as a process does before it ends
        again = RecordedTrial(task_of(), study_of(), RULES, tmp_path)
        assert again.attempt.number == 2
        to_the_end(again)
        assert again.outcome.state == "complete"
        assert [validation["epoch"] for validation in again.outcome.history] == [2, 4, 5]
    else:
        assert (trial.outcome.state, trial.outcome.reason) == (
            "failed",
            "out of memory: no room for 8 GiB",
        )


def test_collapsed_embeddings_are_a_failure(tmp_path):
    points = clouds()
    alike = point_set(np.ones_like(points.points), points.labels, points.classes, "alike")
    trial = recorded(tmp_path, study=study_of(alike))
    to_the_end(trial)
    assert trial.outcome.state == "failed"
    assert trial.outcome.reason.startswith("collapsed: different classes are ")


def test_a_trial_that_cannot_be_built_has_failed_from_the_start(tmp_path):
    unknown = {"aggregator": {"mean": {"exponent": 2}}}
    trial = RecordedTrial(task_of(changes=unknown), study_of(), RULES, tmp_path)
    assert trial.outcome.state == "failed"
    assert trial.outcome.reason.startswith("TypeError: ")
    assert "exponent" in trial.outcome.reason
    assert "Traceback" in (trial.attempt.folder / "error.txt").read_text()


def test_a_failure_counts_as_the_trials_end(tmp_path):
    failed = recorded(tmp_path, learning_rate=1e38)
    to_the_end(failed)
    assert recorded(tmp_path).outcome == failed.outcome


@pytest.mark.parametrize("each", [2, 3, 4])
def test_few_held_out_points_of_a_class_are_enough(tmp_path, each):
    points = clouds()
    rows = np.arange(len(points))
    study = study_of(points)
    few, is_test = rows % 20 < each, np.isin(rows, study.final.held_out)
    folds = tuple(
        Split(rows[~is_test & (points.labels % 2 != fold)], rows[few & (points.labels % 2 == fold)])
        for fold in range(2)
    )
    study = replace(study, folds=folds)
    rules = replace(
        RULES,
        protocol=replace(RULES.protocol, sizes=(1,)),
        quality_name="map_at_r.size1",
    )
    trial = RecordedTrial(task_of(epochs=1), study, rules, tmp_path)
    to_the_end(trial)
    assert (trial.outcome.state, trial.outcome.reason) == ("complete", "")
    example = load_file(trial.attempt.folder / "example.safetensors")
    assert example["points"].shape[:2] == (len(example["embeddings"]), min(each, EXAMPLE_POINTS))
