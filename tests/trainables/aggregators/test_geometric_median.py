import json
import math
from functools import partial
from pathlib import Path

import pytest
import torch

from trainables import catalogue
from trainables.aggregators.geometric_median import GeometricMedianAggregator

ORACLE = json.loads((Path(__file__).parents[2] / "oracles" / "bound.json").read_text())["cases"]
THREE = torch.tensor([[True, True, True, False]])
float64 = partial(torch.tensor, dtype=torch.float64)


def of_group(members, **options):
    """Of one group, with a padded place behind it."""
    embeddings = torch.cat([members, torch.full_like(members[:1], 50.0)])[None]
    mask = torch.tensor([[True] * len(members) + [False]])
    return GeometricMedianAggregator(members.shape[1], **options)(embeddings, mask)[0]


def total_distance(members, point):
    return sum(math.dist(member, point) for member in members.tolist())


def naive(members, iterations, smoothing):
    """The iteration of one group, member by member."""
    place = [sum(feature) / len(members) for feature in zip(*members, strict=True)]
    radius = smoothing * sum(math.dist(member, place) for member in members) / len(members)
    for _ in range(iterations):
        nearness = [1 / math.hypot(math.dist(member, place), radius) for member in members]
        features = zip(*members, strict=True)
        place = [
            sum(n * x for n, x in zip(nearness, feature, strict=True)) / sum(nearness)
            for feature in features
        ]
    return float64(place)


@pytest.mark.parametrize("case", ORACLE)
def test_many_iterations_with_little_smoothing_find_the_geometric_medians(case):
    inputs, outputs = ORACLE[case]["inputs"], ORACLE[case]["outputs"]
    embeddings, group_ids = float64(inputs["embeddings"]), torch.tensor(inputs["group_ids"])
    for group, expected in outputs["geometric_medians"].items():
        members = embeddings[group_ids == int(group)]
        found = of_group(members, iterations=300, smoothing=1e-9)
        least = total_distance(members, expected)
        assert total_distance(members, found.tolist()) == pytest.approx(least, rel=0, abs=1e-7)
        if len(members) != 2:  # every point between two members has the smallest sum of distances
            torch.testing.assert_close(found, float64(expected), rtol=0, atol=1e-7)


@pytest.mark.parametrize(("iterations", "smoothing"), [(1, 0.01), (5, 0.3), (20, 1e-6)])
def test_it_follows_the_formula(iterations, smoothing):
    members = torch.randn(5, 3, dtype=torch.float64)
    found = of_group(members, iterations=iterations, smoothing=smoothing)
    expected = naive(members.tolist(), iterations, smoothing)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


def test_a_step_worked_by_hand():
    # The mean of 0, 0 and 3 is 1: distances 1, 1 and 2, at little smoothing weights 2 : 2 : 1.
    found = of_group(float64([[0.0], [0.0], [3.0]]), iterations=1, smoothing=1e-6)
    torch.testing.assert_close(found, float64([0.6]))


def test_two_members_meet_halfway():
    members = torch.randn(2, 4)
    torch.testing.assert_close(of_group(members), members.mean(0))


def test_an_outlier_hardly_moves_it():
    members = torch.randn(9, 3)
    moved = torch.cat([members[:-1], torch.full((1, 3), 1e4)])
    found = of_group(moved, iterations=16, smoothing=1e-6)
    assert (found - members.mean(0)).norm() < 1
    assert moved.mean(0).norm() > 1000


def test_much_smoothing_approaches_the_mean():
    members = torch.randn(5, 3)
    torch.testing.assert_close(of_group(members, smoothing=10.0), members.mean(0), rtol=0, atol=0.1)


def test_an_iterate_that_meets_a_member_goes_on_to_the_median():
    # The mean, 0, is a member; the median is -1, the place of three.
    members = float64([[0.0], [3.0], [-1.0], [-1.0], [-1.0]])
    found = of_group(members, iterations=100, smoothing=1e-6)
    torch.testing.assert_close(found, float64([-1.0]), rtol=0, atol=1e-5)


@pytest.mark.parametrize("smoothing", [1e-12, 0.01, 10.0])
@pytest.mark.parametrize("scale", [0.0, 1e-6, 1.0, 1e6])
@pytest.mark.parametrize("different", [0, 1])
def test_coinciding_members_have_a_finite_embedding_and_gradient(smoothing, scale, different):
    members = torch.full((4, 3), 0.1)
    members[:different] = 0.7
    members = (scale * members).requires_grad_()
    found = of_group(members, smoothing=smoothing)
    found.sum().backward()
    assert found.isfinite().all()
    assert members.grad.isfinite().all()
    if not different:
        torch.testing.assert_close(found.detach(), members[0].detach())
        torch.testing.assert_close(members.grad, torch.full((4, 3), 0.25), rtol=0, atol=1e-3)


def test_the_rounding_of_coinciding_members_does_not_count_as_distance():
    # The mean of these floats misses them by rounding, which is far more than 1e-12 of it.
    members = torch.randn(1, 64).repeat(7, 1)
    members[0] += 1e-7
    members.requires_grad_()
    of_group(members, smoothing=1e-12).sum().backward()
    torch.testing.assert_close(members.grad, torch.full((7, 64), 1 / 7), rtol=0, atol=0.01)


def test_a_group_of_one_point_is_that_point():
    embeddings = torch.randn(2, 3, 4)
    mask = torch.tensor([[True, False, False], [False, False, True]])
    found = GeometricMedianAggregator(4)(embeddings, mask)
    torch.testing.assert_close(found, embeddings[mask], rtol=0, atol=0)


def test_gradients_flow_through_the_iterations():
    aggregator = GeometricMedianAggregator(3, iterations=5, smoothing=0.1)
    embeddings = torch.randn(1, 4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(aggregator, (embeddings, THREE))


@pytest.mark.parametrize(
    ("option", "legal", "illegal"),
    [("iterations", [1, 100], [0, 2.5]), ("smoothing", [1e-12, 10.0], [0.0, 10.1])],
)
def test_options_have_ranges(option, legal, illegal):
    checked = catalogue.options(GeometricMedianAggregator)[option]
    assert [checked.problem(value) for value in legal] == [None] * len(legal)
    assert None not in [checked.problem(value) for value in illegal]
