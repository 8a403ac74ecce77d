"""An exported configuration, trained again in this process, against the figures of its study."""

import numpy as np
import pytest
import torch

from study.errors import ConfigError
from study.export import export
from study.exported import load
from study.train import Repetition, train
from tests.study import finished_studies
from trainables.data import digits, point_set
from trainables.sources import write_parquet

NAMES = ["mlp+mean+triplet", "mlp+attention+triplet"]


@pytest.fixture(autouse=True)
def threads():
    """Training sets the number of threads of its process."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("trained")
    export(finished_studies.copy(root), root / "export")
    return root / "export"


@pytest.fixture(scope="module")
def unconfirmed(tmp_path_factory):
    root = tmp_path_factory.mktemp("unconfirmed")
    export(finished_studies.copy(root, phase="search"), root / "export")
    return root / "export" / "best" / "configuration.yaml"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("phase", "prefix"), [("search", "val/"), ("confirmation", "test/")])
def test_training_again_gives_every_recorded_figure_to_the_last_bit(folder, name, phase, prefix):
    path = folder / name / "configuration.yaml"
    (repetition,) = train(path, phase)
    assert repetition.recorded == load(path).runs(phase)[0].metrics
    assert repetition.metrics == repetition.recorded
    assert repetition.differing == []
    assert {f"{prefix}map_at_r.size3", f"{prefix}auc.points", "bound/t4_gap.size1"} <= set(
        repetition.metrics
    )
    count = len(repetition.metrics)
    assert repetition.text.endswith(f"{count} of {count} metrics equal the recorded ones exactly")


def test_the_command_compares_and_its_exit_code_says_whether_all_are_equal(folder, called):
    path = folder / "best" / "configuration.yaml"
    code, out, _ = called("train", path)
    assert code == 0
    assert "recorded" not in out.splitlines()[0]
    text = path.read_text()
    changed = path.with_name("changed.yaml")
    changed.write_text(text.replace("learning_rate: 0.003", "learning_rate: 0.004"))
    code, out, _ = called("train", changed)
    assert code == 1
    assert ", recorded 0." in out
    changed.unlink()


def test_figures_that_differ_or_are_missing_are_shown_beside_each_other():
    versions = ("torch: 2.0 now, 1.0 then",)
    recorded = {"a": 1.0, "b": 2.5, "c": 3.0}
    repetition = Repetition("key", {"a": 1.0, "b": 2.0, "d": 4.0}, recorded, versions)
    assert repetition.differing == ["b", "c", "d"]
    assert repetition.text.splitlines() == [
        "a: 1.0",
        "b: 2.0, recorded 2.5",
        "c: None, recorded 3.0",
        "d: 4.0, recorded None",
        "key: 1 of 4 metrics equal the recorded ones exactly",
        "torch: 2.0 now, 1.0 then",
    ]


def test_versions_are_told_only_where_figures_differ():
    assert Repetition("key", {"a": 1.0}, {"a": 1.0}, ("torch: 2.0 now, 1.0 then",)).text == (
        "a: 1.0\nkey: 1 of 1 metrics equal the recorded ones exactly"
    )


def test_a_trial_that_was_stepped_with_others_says_so_where_figures_differ():
    repetition = Repetition("key", {"a": 1.0}, {"a": 1.1}, pack=4)
    assert repetition.text.splitlines()[-1].startswith("then 4 members were stepped as one")


def test_points_that_have_moved_may_be_named(folder, tmp_path):
    moved = tmp_path / "moved.parquet"
    write_parquet(digits(), moved)
    (repetition,) = train(folder / "best" / "configuration.yaml", "search", str(moved))
    assert repetition.differing == []


def test_other_points_are_refused(folder, tmp_path):
    known, other = digits(), tmp_path / "other.parquet"
    points = np.array(known.points)
    points[0, 0] += 1
    write_parquet(point_set(points, known.labels, known.classes, "other"), other)
    with pytest.raises(ConfigError) as caught:
        train(folder / "best" / "configuration.yaml", "search", str(other))
    assert caught.value.problems == [
        f"digests.data: {other} is not the data of the study; name it with --data"
    ]


def test_points_that_are_not_there_are_told(folder):
    with pytest.raises(ConfigError) as caught:
        train(folder / "best" / "configuration.yaml", "search", "gone.parquet")
    assert caught.value.problems == ["data.source: gone.parquet: there is no such file"]


def test_a_confirmation_that_never_was_cannot_be_repeated(unconfirmed):
    with pytest.raises(ConfigError) as caught:
        train(unconfirmed, "confirmation")
    assert caught.value.problems == ["confirmations: there are none; train without --confirm"]
