import dataclasses

import numpy as np
import pytest

from trainables import data, splits

EVERY_HOW = ["classes", "points", "official"]


def points_of(sizes, group_size=None, is_test=None):
    """Points in a random order with classes of these sizes; groups of about the group size."""
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))
    groups = None
    if group_size:
        groups = 1000 * labels
        for label in range(len(sizes)):
            own = np.flatnonzero(labels == label)
            groups[own] += np.arange(len(own)) // group_size
    return data.point_set(
        np.arange(2.0 * len(labels), dtype=np.float32).reshape(-1, 2),
        labels,
        [f"{label:03}" for label in range(len(sizes))],
        "example",
        groups=groups,
        is_test=None if is_test is None else is_test(labels),
    )


def by_class(labels):
    return labels % 3 == 0


def by_point(labels):
    return np.arange(len(labels)) % 3 == 0


def classes_of(points, rows):
    return set(points.labels[rows].tolist())


def refusal(function, *arguments):
    with pytest.raises(data.DataError) as caught:
        function(*arguments)
    (problem,) = caught.value.problems
    return problem


@pytest.mark.parametrize("how", EVERY_HOW)
def test_the_sides_of_a_split_divide_the_points(how):
    points = points_of([20] * 12, is_test=by_point)
    split = splits.hold_out(points, how, 0.25, 0)
    assert np.concatenate([split.train, split.held_out]).dtype == np.int64
    assert sorted([*split.train, *split.held_out]) == list(range(240))
    for side in (split.train, split.held_out):
        assert side.tolist() == sorted(side)


@pytest.mark.parametrize("how", EVERY_HOW)
@pytest.mark.parametrize("count", [2, 3, 5])
def test_folds_divide_the_rows_and_train_on_all_that_they_do_not_hold_out(how, count):
    points = points_of([20] * 20, group_size=3, is_test=by_class)
    rows = splits.hold_out(points, how, 0.25, 0).train
    parts = splits.folds(points, rows, how, count, 0)
    assert len(parts) == count
    assert sorted(np.concatenate([part.held_out for part in parts])) == rows.tolist()
    for part in parts:
        assert sorted([*part.train, *part.held_out]) == rows.tolist()


@pytest.mark.parametrize("how", ["classes", "points"])
def test_a_single_fold_holds_out_a_fifth(how):
    points = points_of([20] * 20)
    (part,) = splits.folds(points, np.arange(100, 400), how, 1, 0)
    assert len(part.held_out) == pytest.approx(60, abs=15)
    assert sorted([*part.train, *part.held_out]) == list(range(100, 400))


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5, 0.9])
def test_classes_are_held_out_whole_and_make_up_about_the_fraction(fraction):
    points = points_of(range(10, 60))
    split = splits.hold_out(points, "classes", fraction, 1)
    assert not classes_of(points, split.train) & classes_of(points, split.held_out)
    assert len(split.held_out) / len(points) == pytest.approx(fraction, abs=0.02)


@pytest.mark.parametrize("fraction", [0.01, 0.99])
def test_either_side_has_two_classes_whatever_the_fraction(fraction):
    points = points_of([10] * 10)
    split = splits.hold_out(points, "classes", fraction, 0)
    sides = [len(classes_of(points, side)) for side in (split.train, split.held_out)]
    assert sorted(sides) == [2, 8]


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.7])
def test_points_are_held_out_from_every_class_alike(fraction):
    points = points_of(range(10, 60))
    split = splits.hold_out(points, "points", fraction, 0)
    sizes, held_out = np.bincount(points.labels), np.bincount(points.labels[split.held_out])
    assert np.abs(held_out - fraction * sizes).max() < 1
    assert len(split.held_out) == pytest.approx(fraction * len(points), abs=1)


def test_small_classes_together_hold_out_the_fraction():
    points = points_of([2] * 100)
    split = splits.hold_out(points, "points", 0.25, 0)
    assert len(split.held_out) == 50


@pytest.mark.parametrize("group_size", [None, 5])
def test_a_class_of_one_point_or_natural_group_is_trained_on(group_size):
    points = points_of([group_size or 1, 20, 20, 20], group_size)
    for seed in range(20):
        split = splits.hold_out(points, "points", 0.9, seed)
        assert classes_of(points, split.train) == {0, 1, 2, 3}
        assert classes_of(points, split.held_out) == {1, 2, 3}


@pytest.mark.parametrize("how", ["classes", "points"])
def test_natural_groups_stay_on_one_side(how):
    points = points_of([40, 60, 31, 50, 43, 70], group_size=7)
    split = splits.hold_out(points, how, 0.25, 0)
    for part in [split, *splits.folds(points, split.train, how, 2, 0)]:
        assert not set(points.groups[part.train]) & set(points.groups[part.held_out])


def test_points_with_natural_groups_hold_out_about_the_fraction():
    points = points_of([300] * 9, group_size=7)
    split = splits.hold_out(points, "points", 0.25, 0)
    assert len(split.held_out) == pytest.approx(0.25 * len(points), rel=0.05)


def test_the_official_split_follows_the_data():
    points = points_of([20] * 6, is_test=by_point)
    split = splits.hold_out(points, "official", 0.9, 0)
    assert split.held_out.tolist() == list(range(0, 120, 3))


@pytest.mark.parametrize(("is_test", "disjoint"), [(by_class, True), (by_point, False)])
def test_folds_of_an_official_split_hold_out_classes_if_the_test_does(is_test, disjoint):
    points = points_of([20] * 12, is_test=is_test)
    rows = splits.hold_out(points, "official", 0.25, 0).train
    for part in splits.folds(points, rows, "official", 3, 0):
        shared = classes_of(points, part.train) & classes_of(points, part.held_out)
        assert bool(shared) is not disjoint


@pytest.mark.parametrize("sizes", [[20] * 12, range(10, 60), [500, *[20] * 29]])
def test_folds_of_classes_have_equally_many_classes_and_about_as_many_points(sizes):
    points = points_of(sizes)
    parts = splits.folds(points, np.arange(len(points)), "classes", 3, 0)
    classes = [len(classes_of(points, part.held_out)) for part in parts]
    held_out = [len(part.held_out) for part in parts]
    assert max(classes) - min(classes) <= 1
    assert max(held_out) - min(held_out) <= max(sizes)
    for part in parts:
        assert not classes_of(points, part.train) & classes_of(points, part.held_out)


def test_folds_of_points_hold_out_equally_many_points_of_every_class():
    points = points_of(range(10, 60))
    parts = splits.folds(points, np.arange(len(points)), "points", 4, 0)
    counts = np.stack([np.bincount(points.labels[part.held_out]) for part in parts])
    assert (counts.max(0) - counts.min(0)).max() <= 1
    assert np.ptp(counts.sum(1)) <= 1


@pytest.mark.parametrize("how", ["classes", "points"])
def test_the_seed_decides_the_split(how):
    points = points_of([20] * 12)

    def held_out(seed):
        parts = splits.folds(points, np.arange(240), how, 2, seed)
        parts.append(splits.hold_out(points, how, 0.25, seed))
        return [part.held_out.tolist() for part in parts]

    assert held_out(0) == held_out(0)
    assert all(first != second for first, second in zip(held_out(0), held_out(1), strict=True))


TOO_FEW = "divide by points or use fewer folds"
CHANGE = "change the share held out, the number of folds or the kind of split"


@pytest.mark.parametrize(
    ("sizes", "how", "count", "problem"),
    [
        (
            [9] * 3,
            "classes",
            1,
            f"4 classes are needed, two to train on and two to hold out, got 3; {TOO_FEW}",
        ),
        (
            [9] * 5,
            "classes",
            3,
            f"6 classes are needed, two for each of 3 folds, got 5; {TOO_FEW}",
        ),
        (
            [1, 1, 1, 1],
            "points",
            3,
            f"the held-out part would have points of 1 classes, at least two are needed; {CHANGE}",
        ),
        (
            [2, 2, 1],
            "official",
            2,
            "the data has no official split; divide it by classes or by points",
        ),
    ],
)
def test_folds_that_cannot_be_are_refused(sizes, how, count, problem):
    points = points_of(sizes)
    assert refusal(splits.folds, points, np.arange(len(points)), how, count, 0) == problem


@pytest.mark.parametrize(
    ("points", "how", "problem"),
    [
        (
            points_of([9] * 3),
            "classes",
            f"4 classes are needed, two to train on and two to hold out, got 3; {TOO_FEW}",
        ),
        (
            points_of([9] * 3),
            "official",
            "the data has no official split; divide it by classes or by points",
        ),
        (
            points_of([9] * 3, is_test=by_class),
            "official",
            f"the held-out part would have points of 1 classes, at least two are needed; {CHANGE}",
        ),
        (
            points_of([9] * 3, is_test=lambda labels: labels >= 0),
            "official",
            f"the training part would have points of 0 classes, at least two are needed; {CHANGE}",
        ),
        (
            points_of([1] * 9),
            "points",
            f"the held-out part would have points of 0 classes, at least two are needed; {CHANGE}",
        ),
    ],
)
def test_a_test_part_that_cannot_be_is_refused(points, how, problem):
    assert refusal(splits.hold_out, points, how, 0.25, 0) == problem


@pytest.mark.parametrize(
    ("train", "held_out", "how", "shared"),
    [
        ([0, 1], [1, 2], "official", "1 points"),
        ([0, 1], [2, 3], "classes", "2 classes"),
        ([0, 1], [4, 5], "points", "2 natural groups"),
    ],
)
def test_a_leak_is_an_error(train, held_out, how, shared):
    points = data.point_set(
        np.ones((6, 1), np.float32),
        np.array([0, 1] * 3),
        ["a", "b"],
        "example",
        groups=np.array([0, 1, 2, 3, 0, 1]),
    )
    split = splits.Split(np.array(train), np.array(held_out))
    with pytest.raises(splits.LeakError, match=f"share {shared}$"):
        splits.check_disjoint(points, split, how)
    if how != "official":
        ungrouped = dataclasses.replace(points, labels=np.arange(6), groups=None)
        splits.check_disjoint(ungrouped, split, how)
