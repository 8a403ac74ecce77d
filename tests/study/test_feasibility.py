import numpy as np
import pytest

from study import feasibility
from study.space import OptionSpaces, search_space
from tests.study.files import accepted, refused
from trainables import data
from trainables.sources import write_parquet

TOO_LARGE = (
    "is too large: in some held-out part fewer than two classes have two such groups; use smaller "
    "sizes, fewer folds or a larger test_fraction"
)


def natural(path, groups_per_class=12, points_per_group=4):
    """Four classes of natural groups of equal size."""
    labels = np.repeat(np.arange(4), groups_per_class * points_per_group)
    groups = np.arange(len(labels)) // points_per_group
    points = np.random.default_rng(0).normal(size=(len(labels), 3)).astype(np.float32)
    write_parquet(data.point_set(points, labels, list("abcd"), "natural", groups=groups), path)
    return str(path)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            "search.training.classes_per_batch: 11",
            "search.training.classes_per_batch: must be at most 10, the classes there are to "
            "train on, got 11; lower it",
        ),
        (
            "search.training.classes_per_batch: 1000000000",
            "search.training.classes_per_batch: must be at most 10, the classes there are to "
            "train on, got 1000000000; lower it",
        ),
        (
            "search.training.group_size: 100",
            "search.training.group_size: classes_per_batch is 8, but only 0 of 10 classes have "
            "200 points (groups_per_class x group_size); lower any of these options",
        ),
        (
            "search.training.group_size: {low: 2, high: 2000000000}",
            "search.training.group_size: classes_per_batch is 8, but only 0 of 10 classes have "
            "4000000000 points (groups_per_class x group_size); lower any of these options",
        ),
        (
            "search.training.group_size_spread: 2",
            "search.training.group_size_spread: must be below group_size 2, got 2; lower it",
        ),
        ("protocol.sizes: [1, 1000]", f"protocol.sizes: 1000 {TOO_LARGE}"),
        (
            "data.split: classes",
            "search.training.classes_per_batch: must be at most 4, the classes there are to "
            "train on, got 8; lower it",
        ),
    ],
)
def test_groups_that_the_data_cannot_supply_are_refused(tmp_path, change, problem):
    assert refused(tmp_path, change) == [problem]


def test_the_spread_must_stay_below_the_smallest_group(tmp_path):
    assert refused(
        tmp_path,
        "search.training.group_size: [1, 3]",
        "search.training.group_size_spread: [0, 1]",
    ) == ["search.training.group_size_spread: must be below group_size 1, got 1; lower it"]


@pytest.mark.parametrize(("size", "problems"), [(4, []), (5, 1)])
def test_natural_groups_supply_groups_inside_them(tmp_path, size, problems):
    changes = [
        f"data.source: {natural(tmp_path / 'points.parquet')}",
        "data.groups: natural",
        "search.training.classes_per_batch: 4",
        f"search.training.group_size: {size}",
    ]
    if not problems:
        assert accepted(tmp_path, *changes).data.points.groups is not None
    else:
        (problem,) = refused(tmp_path, *changes)
        assert "natural groups (groups_per_class) of 5 points" in problem


def test_evaluated_groups_lie_inside_natural_ones(tmp_path):
    changes = [
        f"data.source: {natural(tmp_path / 'points.parquet')}",
        "search.training.classes_per_batch: 4",
        "protocol.sizes: [4, 5]",
    ]
    assert accepted(tmp_path, *changes)
    problem = f"protocol.sizes: 5 {TOO_LARGE}"
    assert refused(tmp_path, *changes, "data.groups: natural") == [problem]


def test_a_space_that_is_wrong_by_itself_is_not_judged(tmp_path):
    study = accepted(tmp_path)
    training = search_space({"training": {"group_size": -1, "classes_per_batch": 99}})[0].training
    assert feasibility.problems(None, training, study.data) == []


def test_spaces_of_any_extent_are_judged_at_once(tmp_path):
    choices = dict.fromkeys(
        ("classes_per_batch", "groups_per_class", "group_size"), [*range(2, 100)]
    )
    space, _ = search_space({"training": choices})
    assert isinstance(space.training, OptionSpaces)
    problems = feasibility.problems((1,), space.training, accepted(tmp_path).data)
    assert [problem.split(":")[0] for problem in problems] == ["search.training.classes_per_batch"]
