import numpy as np
import pytest

from study.manifest import changes, manifest
from tests.study.files import accepted
from trainables import data
from trainables.sources import write_parquet


def differences(folder, *changed):
    return changes(manifest(accepted(folder)), manifest(accepted(folder, *changed)))


def test_the_same_file_changes_nothing(tmp_path):
    assert differences(tmp_path) == []


@pytest.mark.parametrize(
    "change",
    [
        "budget.trials_per_combination: 64",
        "budget.pack: 1",
        "budget.retries: 0",
        "tracking.uri: http://localhost:5000",
        "search.encoder.mlp: {width: 16, depth: [1, 2]}",
        "search.encoder.mlp: {width: 16}",
        "search.aggregator.max: {}",
        "search.loss.infonce: {temperature: 0.1, level: groups}",
    ],
)
def test_what_may_grow_extends_a_study(tmp_path, change):
    assert differences(tmp_path, change) == []


@pytest.mark.parametrize(
    ("change", "was", "now"),
    [
        ("seed: 7", "0", "7"),
        ("search.encoder.linear.width: 32", "16", "32"),
        ("search.loss.triplet.mining: hard", "all", "hard"),
        ("search.training.epochs: 2", "1", "2"),
        ("protocol.metric: r_precision", "map_at_r", "r_precision"),
        ("algorithm.sampler: random", "tpe", "random"),
    ],
)
def test_any_other_change_is_refused_with_the_difference(tmp_path, change, was, now):
    path = change.partition(": ")[0]
    assert f"{path}: was {was}, is now {now}; give the new study another name" in differences(
        tmp_path, change
    )


def test_an_option_added_to_a_known_component_is_a_change(tmp_path):
    assert differences(tmp_path, "search.loss.triplet.margin: 0.1") == [
        "search.loss.triplet.margin: was None, is now 0.1; give the new study another name"
    ]


def test_a_database_is_kept_and_says_why(tmp_path):
    change = f"storage.database: sqlite:///{tmp_path}/optuna.db"
    assert differences(tmp_path, change) == [
        f"storage.database: was None, is now sqlite:///{tmp_path}/optuna.db; what was searched so "
        "far is only there; launch it as it was"
    ]


def test_a_component_taken_away_is_a_change(tmp_path):
    old = manifest(accepted(tmp_path, "search.encoder.mlp: {width: 16}"))
    (problem,) = changes(old, manifest(accepted(tmp_path)))
    assert problem.startswith("search.encoder.mlp.width: was 16, is now None")


def test_a_budget_cannot_shrink(tmp_path):
    assert differences(tmp_path, "budget.trials_per_combination: 8") == [
        "budget.trials_per_combination: cannot shrink, was 32, is now 8"
    ]


def test_other_data_are_refused_and_the_same_elsewhere_are_not(tmp_path):
    points = np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32)
    labels = np.repeat(np.arange(10), 20)
    paths = [tmp_path / name for name in ("a.parquet", "b.parquet", "c.parquet")]
    for path, values in zip(paths, (points, points, points + 1), strict=True):
        write_parquet(data.point_set(values, labels, [*"abcdefghij"], "made up"), path)
    first, moved, other = (manifest(accepted(tmp_path, f"data.source: {path}")) for path in paths)
    assert changes(first, moved) == []
    assert changes(first, other) == [
        "data: the data has changed since the study began; give the new study another name"
    ]


def test_another_division_of_the_same_points_is_refused(tmp_path):
    assert (
        "split: the split has changed since the study began; give the new study another name"
        in differences(tmp_path, "seed: 7")
    )
