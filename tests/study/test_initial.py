import numpy as np
import pytest

from study.check import prepare
from study.errors import ConfigError
from study.initial import study_file, write
from trainables import data
from trainables.sources import write_parquet


def points(folder, classes, each, shape=(4,), **columns):
    """A Parquet file of classes with equally many points."""
    labels = np.repeat(np.arange(classes), each)
    random = np.random.default_rng(0)
    values = (
        random.integers(0, 255, (len(labels), *shape)).astype(np.uint8)
        if len(shape) == 3
        else random.normal(size=(len(labels), *shape)).astype(np.float32)
    )
    names = [f"class {number}" for number in range(classes)]
    path = folder / "my points.parquet"
    write_parquet(data.point_set(values, labels, names, "made up", **columns), path)
    return str(path)


def study_of(folder, source):
    path = folder / "study.yaml"
    write(source, path)
    return prepare(path, folder)


def encoders(study):
    return [combination.encoder.name for combination in study.combinations[::4]]


def test_the_digits_are_divided_by_points(tmp_path):
    study = study_of(tmp_path, "digits")
    config = study.config
    assert (config.name, config.data.split, config.data.folds) == ("digits", "points", 3)
    assert config.search.training["classes_per_batch"] == 10
    assert config.protocol.sizes == (1, 2, 5)
    assert encoders(study) == ["linear", "mlp"]


def test_many_classes_are_divided_by_classes(tmp_path):
    study = study_of(tmp_path, points(tmp_path, 24, 30))
    assert study.config.data.split == "classes"
    assert study.config.name == "my_points"


def test_an_official_split_is_kept(tmp_path):
    is_test = np.tile([False, False, True], 8 * 10)
    study = study_of(tmp_path, points(tmp_path, 8, 30, is_test=is_test))
    assert study.config.data.split == "official"
    assert "test_fraction" not in (tmp_path / "study.yaml").read_text()


def test_natural_groups_are_kept(tmp_path):
    groups = np.arange(8 * 60) // 5
    study = study_of(tmp_path, points(tmp_path, 8, 60, groups=groups))
    assert study.config.data.groups == "natural"
    assert study.config.search.training["group_size"] == [2, 5]


@pytest.mark.parametrize(("side", "encoder"), [(16, "conv4"), (15, "linear")])
def test_conv4_is_for_images_large_enough(tmp_path, side, encoder):
    study = study_of(tmp_path, points(tmp_path, 3, 20, (1, side, side)))
    assert encoders(study) == [encoder, "mlp"]


@pytest.mark.parametrize(
    ("classes", "each"), [(2, 8), (2, 20), (3, 9), (5, 12), (8, 6), (30, 4), (40, 6), (21, 60)]
)
def test_groups_and_batches_are_what_every_fold_can_supply(tmp_path, classes, each):
    assert study_of(tmp_path, points(tmp_path, classes, each)).combinations


def test_groups_of_one_point_come_without_attention(tmp_path):
    study = study_of(tmp_path, points(tmp_path, 8, 3))
    assert study.config.search.training["group_size"] == 1
    assert set(study.config.search.aggregator) == {"mean"}


def test_points_too_few_for_any_study_are_refused(tmp_path):
    source = points(tmp_path, 2, 2)
    with pytest.raises(ConfigError) as caught:
        study_file(source)
    assert str(caught.value) == (
        f"{source}: too few points: two classes need two groups on either side of every fold, here "
        "are 2 classes (class 0, class 1), each of 2 points; eight points of each class are enough"
    )


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("missing.parquet", "missing.parquet: there is no such file"),
        (
            "digit",
            "digit: is no source of points; name digits or the path of a .parquet file",
        ),
    ],
)
def test_a_source_that_cannot_be_read_is_refused(source, message):
    with pytest.raises(ConfigError) as caught:
        study_file(source)
    assert str(caught.value) == message


def test_an_existing_file_is_never_overwritten(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text("mine")
    with pytest.raises(ConfigError, match="exists already; remove it or name another file"):
        write("digits", path)
    assert path.read_text() == "mine"


def test_a_file_that_cannot_be_written_says_why(tmp_path):
    with pytest.raises(ConfigError, match="cannot be written: No such file or directory"):
        write("digits", tmp_path / "missing" / "study.yaml")


def test_what_was_seen_is_told(tmp_path):
    is_test, groups = np.tile([False, False, True], 8 * 10), np.arange(8 * 30) // 3
    source = points(tmp_path, 8, 30, (1, 4, 5), is_test=is_test, groups=groups)
    assert study_file(source).startswith(
        "# Seen in the data: 240 points of shape 1 x 4 x 5 (images, channels x height x width),\n"
        "#   8 classes (class 0, class 1, class 2, ...), each of 30 points,\n"
        "#   an official split that holds out 80 points for the test,\n"
        "#   80 natural groups, each of 3 points.\n"
    )


def test_classes_of_different_sizes_are_told_as_a_range(tmp_path):
    labels = np.repeat([0, 1], [12, 20])
    path = tmp_path / "points.parquet"
    values = np.random.default_rng(0).normal(size=(32, 4)).astype(np.float32)
    write_parquet(data.point_set(values, labels, ["a", "b"], "made up"), path)
    assert "2 classes (a, b), of 12 to 20 points.\n" in study_file(str(path))


@pytest.mark.parametrize(
    ("classes", "each", "reason"),
    [
        (8, 30, "points of the same classes:\n  # 8 classes are few, from 20 on whole"),
        (24, 30, "unseen classes:\n  # 24 classes are enough to spare whole ones, from 20 on"),
        (30, 4, "unseen classes:\n  # 30 classes are enough"),
    ],
)
def test_the_choice_of_the_split_is_explained(tmp_path, classes, each, reason):
    assert reason in study_file(points(tmp_path, classes, each))


def test_a_name_that_would_end_the_comment_does_not(tmp_path):
    path = tmp_path / "points.parquet"
    values = np.random.default_rng(0).normal(size=(24, 4)).astype(np.float32)
    names = ["a\nseed: 5", "b\u2028c", "c"]
    write_parquet(data.point_set(values, np.repeat([0, 1, 2], 8), names, "made up"), path)
    assert "3 classes (a\\nseed: 5, b\\u2028c, c)" in study_file(str(path))
    assert study_of(tmp_path, str(path)).config.seed == 1


def test_a_small_study_is_for_a_first_look(tmp_path):
    source = points(tmp_path, 8, 30)
    whole = study_of(tmp_path, source)
    write(source, tmp_path / "small.yaml", True)
    small = prepare(tmp_path / "small.yaml", tmp_path)
    assert (len(whole.combinations), whole.config.budget.trials_per_combination) == (8, 16)
    assert (len(small.combinations), small.config.budget.trials_per_combination) == (2, 4)
    # Both may be launched, one after the other.
    assert (whole.config.name, small.config.name) == ("my_points", "my_points_small")
