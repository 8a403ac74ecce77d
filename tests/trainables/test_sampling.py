import tracemalloc

import numpy as np
import pytest
import torch

from trainables import sampling

OPTIONS = {
    "classes_per_batch": 3,
    "groups_per_class": 4,
    "group_size": 3,
    "group_size_spread": 2,
}
CASES = {
    "even classes": (60, {}),
    "uneven classes": ([12, 13, 25, 40, 200], {}),
    "odd number of groups": (60, {"groups_per_class": 3}),
    "one group a class": (60, {"groups_per_class": 1}),
    "equal sizes": (60, {"group_size_spread": 0}),
    "groups of one point": (60, {"group_size": 1, "group_size_spread": 0}),
    "every class in every step": (24, {"classes_per_batch": 5}),
    "whole classes": (12, {}),
    "fewer points than a batch": ([20, 1, 1, 12, 12], {"classes_per_batch": 3}),
}
NATURAL = {
    "even groups": (24, 5, {}),
    "just enough groups": (4, 5, {}),
    "odd number of groups": (9, 7, {"groups_per_class": 3}),
    "one group a class": (6, 3, {"groups_per_class": 1}),
    "equal sizes": (6, 3, {"group_size_spread": 0}),
}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def labels_of(sizes, classes=5):
    """Labels 10, 20, ... in a random order, as many as the sizes say."""
    sizes = [sizes] * classes if isinstance(sizes, int) else sizes
    ordered = np.repeat(10 * np.arange(1, len(sizes) + 1), sizes)
    return np.random.default_rng(0).permutation(ordered)


def natural_data(groups_per_class, points, classes=5):
    """Natural groups of equally many points with their labels, in a random order."""
    groups = np.random.default_rng(0).permutation(
        np.repeat(np.arange(groups_per_class * classes), points)
    )
    return groups % classes, groups


def members_of(plan):
    """The rows in each group of a step."""
    return [
        plan.rows[group[real]].tolist() for group, real in zip(plan.members, plan.mask, strict=True)
    ]


@pytest.fixture(params=[*CASES, *(f"natural {name}" for name in NATURAL)])
def drawn(request):
    """Labels, natural groups, options and the plans of some epochs."""
    if request.param in CASES:
        sizes, changes = CASES[request.param]
        labels, groups = labels_of(sizes), None
    else:
        per_class, points, changes = NATURAL[request.param.removeprefix("natural ")]
        labels, groups = natural_data(per_class, points)
    options = {**OPTIONS, **changes}
    assert sampling.problems(labels, groups, **options) == []
    sampler = sampling.GroupSampler(labels, groups, **options)
    source = generator()
    plans = [plan for _ in range(5) for plan in sampler.epoch(source).steps()]
    return labels, groups, options, plans


def test_every_step_has_the_same_shapes(drawn):
    _, _, options, plans = drawn
    groups = options["classes_per_batch"] * options["groups_per_class"]
    places = options["group_size"] + options["group_size_spread"]
    for plan in plans:
        assert plan.rows.shape == plan.labels.shape == (groups * options["group_size"],)
        assert plan.members.shape == plan.mask.shape == (groups, places)
        assert plan.group_labels.shape == (groups,)


def test_the_groups_of_a_step_divide_its_distinct_points(drawn):
    for plan in drawn[-1]:
        assert len(plan.rows.unique()) == len(plan.rows)
        assert plan.members[plan.mask].sort().values.tolist() == list(range(len(plan.rows)))


def test_real_points_stand_before_padded_places_which_are_0(drawn):
    for plan in drawn[-1]:
        sizes = plan.mask.sum(1, keepdim=True)
        assert torch.equal(plan.mask, torch.arange(plan.mask.shape[1]) < sizes)
        assert not plan.members[~plan.mask].any()
        assert bool((sizes > 0).all())


def test_labels_are_the_labels_given(drawn):
    labels, _, _, plans = drawn
    for plan in plans:
        assert plan.labels.tolist() == labels[plan.rows].tolist()
        for rows, label in zip(members_of(plan), plan.group_labels.tolist(), strict=True):
            assert set(labels[rows]) == {label}


def test_groups_are_ordered_class_by_class_and_the_classes_of_a_step_are_distinct(drawn):
    _, _, options, plans = drawn
    for plan in plans:
        classes = plan.group_labels[:: options["groups_per_class"]]
        assert len(classes.unique()) == options["classes_per_batch"]
        repeated = classes.repeat_interleave(options["groups_per_class"])
        assert torch.equal(plan.group_labels, repeated)


def test_sizes_of_paired_groups_average_to_the_group_size(drawn):
    _, _, options, plans = drawn
    for plan in plans:
        sizes = plan.mask.sum(1).view(-1, options["groups_per_class"]) - options["group_size"]
        paired = sizes.shape[1] // 2 * 2
        assert torch.equal(sizes[:, 0:paired:2], -sizes[:, 1:paired:2])
        assert not sizes[:, paired:].any()


@pytest.mark.parametrize("drawn", [f"natural {name}" for name in NATURAL], indirect=True)
def test_each_group_lies_in_a_natural_group_of_its_own_within_the_class(drawn):
    _, groups, options, plans = drawn
    for plan in plans:
        natural = [set(groups[rows]) for rows in members_of(plan)]
        assert {len(group) for group in natural} == {1}
        for start in range(0, len(natural), options["groups_per_class"]):
            of_class = natural[start : start + options["groups_per_class"]]
            assert len(set.union(*of_class)) == options["groups_per_class"]


def test_an_epoch_takes_about_as_many_points_as_there_are():
    sampler = sampling.GroupSampler(labels_of(60), None, **OPTIONS)
    assert sampler.steps_per_epoch == 300 // 36
    assert len(sampler.epoch(generator()).steps()) == sampler.steps_per_epoch
    assert sampling.GroupSampler(labels_of(12, 3), None, **OPTIONS).steps_per_epoch == 1


@pytest.mark.parametrize("natural", [False, True])
def test_the_generator_decides_the_epoch(natural):
    labels, groups = natural_data(8, 6)
    sampler = sampling.GroupSampler(labels, groups if natural else None, **OPTIONS)
    source = generator(1)
    first, second = sampler.epoch(source).steps(), sampler.epoch(source).steps()
    again = sampler.epoch(generator(1)).steps()
    for plan, same, other in zip(first, again, second, strict=True):
        assert all(torch.equal(*pair) for pair in zip(plan, same, strict=True))
        assert not torch.equal(plan.rows, other.rows)


def frequencies(labels, groups, **options):
    """How often each point, and each pair of points in one group, was drawn in 400 epochs."""
    sampler = sampling.GroupSampler(labels, groups, **options)
    points, pairs = np.zeros(len(labels)), np.zeros((len(labels), len(labels)))
    source = generator()
    for plan in (plan for _ in range(400) for plan in sampler.epoch(source).steps()):
        points[plan.rows] += 1
        for rows in members_of(plan):
            pairs[np.ix_(rows, rows)] += 1
    return points, pairs


@pytest.mark.parametrize("sizes", [[8, 8, 8], [9, 13, 17]])
def test_points_and_pairs_of_points_of_a_class_are_equally_likely(sizes):
    labels = labels_of(sizes)
    options = {"classes_per_batch": 2, "groups_per_class": 2, "group_size": 2}
    points, pairs = frequencies(labels, None, **options, group_size_spread=1)
    for label, size in zip(np.unique(labels), sizes, strict=True):
        own = labels == label
        of_class = pairs[own][:, own][~np.eye(size, dtype=bool)]
        for counts in (points[own], of_class):
            # Six standard deviations of a Poisson count are beyond chance.
            assert abs(counts - counts.mean()).max() < 6 * counts.mean() ** 0.5


def test_classes_and_natural_groups_and_their_points_are_equally_likely():
    labels, groups = natural_data(4, 5, classes=4)
    options = {**OPTIONS, "classes_per_batch": 3, "groups_per_class": 2}
    points, _ = frequencies(labels, groups, **options)
    assert abs(points - points.mean()).max() < 6 * points.mean() ** 0.5


def test_every_departure_of_a_group_size_is_equally_likely():
    sampler = sampling.GroupSampler(labels_of(60), None, **OPTIONS)
    source = generator()
    plans = [plan for _ in range(50) for plan in sampler.epoch(source).steps()]
    counts = torch.cat([plan.mask.sum(1) for plan in plans]).bincount().float()
    assert not counts[0]
    assert (counts[1:] - counts[1:].mean()).abs().max() < 6 * counts.mean().sqrt()


def test_an_epoch_visits_nearly_every_point():
    labels = labels_of(60)
    sampler = sampling.GroupSampler(labels, None, **{**OPTIONS, "classes_per_batch": 5})
    rows = torch.cat([plan.rows for plan in sampler.epoch(generator()).steps()])
    assert len(rows.unique()) == len(rows) == sampler.steps_per_epoch * 60


def test_classes_and_natural_groups_that_are_too_small_are_left_out():
    plans = (
        sampling.GroupSampler(labels_of([11, 12, 30, 3, 12]), None, **OPTIONS)
        .epoch(generator())
        .steps()
    )
    assert {label for plan in plans for label in plan.labels.tolist()} == {20, 30, 50}
    groups = np.repeat(np.arange(6), [5, 4, 5, 5, 5, 9])
    labels = np.repeat([0, 0, 0, 1, 1, 2], [5, 4, 5, 5, 5, 9])
    options = {**OPTIONS, "classes_per_batch": 2, "groups_per_class": 2}
    plans = sampling.GroupSampler(labels, groups, **options).epoch(generator()).steps()
    assert {group for plan in plans for group in groups[plan.rows]} == {0, 2, 3, 4}


@pytest.mark.parametrize("sizes", [[6000] * 3, [23] * 900, [12, 12, 20_000], [23, 23, 23, 1]])
@pytest.mark.parametrize("natural", [False, True])
def test_the_arrays_of_an_epoch_grow_with_the_points_drawn(sizes, natural):
    labels = labels_of(sizes)
    groups = None
    if natural:
        groups = np.empty_like(labels)
        groups[labels.argsort()] = np.concatenate([np.arange(size) % 2 for size in sizes])
        groups += 2 * labels
    options = {**OPTIONS, "groups_per_class": 2}
    sampler = sampling.GroupSampler(labels, groups, **options)
    tracemalloc.start()
    plans = sampler.epoch(generator())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    drawn = plans.rows.numel()
    assert peak <= 2**14 + 10 * 8 * (len(labels) + drawn)


SMALL = {"group_size": 2, "classes_per_batch": 2}
PROBLEMS = {
    "nothing": ({**SMALL, "group_size_spread": 1}, []),
    "spread": (
        {**SMALL, "group_size_spread": 2},
        ["training.group_size_spread: must be below group_size 2, got 2; lower it"],
    ),
    "classes": (
        {"classes_per_batch": 4},
        [
            "training.classes_per_batch: must be at most 3, the classes there are to train on, "
            "got 4; lower it"
        ],
    ),
    "points": (
        {},
        [
            "training.group_size: classes_per_batch is 3, but only 2 of 3 classes have 12 points "
            "(groups_per_class x group_size); lower any of these options"
        ],
    ),
    "several": (
        {"group_size_spread": 4, "group_size": 3, "classes_per_batch": 4},
        [
            "training.group_size_spread: must be below group_size 3, got 4; lower it",
            "training.classes_per_batch: must be at most 3, the classes there are to train on, "
            "got 4; lower it",
        ],
    ),
}


@pytest.mark.parametrize(("changes", "problems"), PROBLEMS.values(), ids=PROBLEMS)
def test_impossible_options_are_named_with_their_remedy(changes, problems):
    options = {**OPTIONS, **changes}
    labels = labels_of([11, 12, 30])
    assert sampling.problems(labels, None, **options) == problems
    if problems:
        with pytest.raises(ValueError, match="^training"):
            sampling.GroupSampler(labels, None, **options)


@pytest.mark.parametrize(
    ("per_class", "points", "groups_per_class", "fit"),
    [(4, 5, 4, True), (3, 5, 4, False), (4, 4, 4, False), (1, 3, 1, True), (1, 2, 1, False)],
)
def test_natural_groups_must_be_as_many_and_as_large_as_the_groups_drawn(
    per_class, points, groups_per_class, fit
):
    options = {**OPTIONS, "groups_per_class": groups_per_class}
    found = sampling.problems(*natural_data(per_class, points), **options)
    largest = 3 if groups_per_class == 1 else 5
    problem = (
        "training.group_size: classes_per_batch is 3, but only 0 of 5 classes have "
        f"{groups_per_class} natural groups (groups_per_class) of {largest} points (group_size, "
        "plus group_size_spread where groups are paired); lower any of these options"
    )
    assert found == ([] if fit else [problem])
