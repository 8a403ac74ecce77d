"""docs/theory.md, sections 2 to 6: orders, examples and limits that no other test has."""

import math

import pytest
import torch

from tests.trainables.grouped_clouds import (
    KINDS,
    all_pairs,
    float64,
    random_groups,
    theorem,
    uniform,
)
from tests.trainables.theory import pushed
from trainables.aggregators.max import MaxAggregator
from trainables.margin import margin
from trainables.tighter_bounds import TIGHTER_BOUNDS, hull_groups, tighter_bounds


def bounds_of(members, labels, mask=None):
    """All bounds of the first pair of plain means, by name."""
    members, labels = float64(members), torch.tensor(labels)
    mask = torch.ones(members.shape[:2], dtype=torch.bool) if mask is None else mask
    groups = hull_groups(members, mask, labels, uniform(mask))
    found = tighter_bounds(groups, (torch.tensor([0]), torch.tensor([1])))
    looser = theorem(members, mask, labels, uniform(mask))
    values = {name: found.bound(name)[0].item() for name in TIGHTER_BOUNDS}
    values |= {name: looser.bound(name)[0].item() for name in ("t1", "t1_prime")}
    return found.distance[0].item(), values


def test_every_bound_is_attained():
    # Groups {0} and {2} of one class, a negative at 1: m* = 1, D = 1, delta = 1.
    distance, found = bounds_of([[[0.0]], [[2.0]], [[1.0]]], [0, 0, 1])
    assert distance == 2
    assert len(found) == 9
    assert found == dict.fromkeys(found, pytest.approx(2))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [None, 1, 32])
def test_the_variances_never_cost_more_than_they_give(kind, width):
    for seed in range(4):
        members, mask, labels, weights = random_groups(kind, seed, width)
        for of_members in (uniform(mask), weights):
            groups = hull_groups(members, mask, labels, of_members)
            found = tighter_bounds(groups, all_pairs(labels))
            rounding = 1e-9 * found.scale.square()
            assert (found.t6.square() <= found.t4.square() + rounding).all()


def test_no_two_groups_break_that_order():
    # Two groups of three points, four negatives, in space.
    def beyond(points):
        delta = torch.cdist(points[:6], points[6:]).amin(1)
        smaller = torch.minimum(delta[:3, None], delta[3:])
        spread = sum(g.sub(g.mean(0)).square().sum(1).mean() for g in (points[:3], points[3:6]))
        return smaller.var(correction=0) - spread

    start = torch.nn.functional.normalize(torch.randn(10, 3, dtype=torch.float64))
    assert beyond(start) < -0.1
    assert -0.1 < beyond(pushed(beyond, start)) <= 1e-9


def test_t6_and_t7_have_no_order():
    # The worst anchor, 1.5, has a nearer negative than the pair at hand.
    members = [[[-1.0]], [[-0.5]], [[1.5]], [[4.5]], [[1.6]]]
    _, found = bounds_of(members, [0, 0, 1, 1, 2])
    assert (found["t6"], found["t7"]) == pytest.approx((4.9, math.sqrt(12.99)))
    # The pair has a far further one than the worst anchor, 101.
    members = [[[0.0]], [[1.0]], [[100.0]], [[101.0]], [[103.0]]]
    _, found = bounds_of(members, [0, 0, 1, 1, 2])
    assert (found["t6"], found["t7"]) == pytest.approx((98, math.sqrt(9798)))


def test_raw_inputs_are_not_bounded():
    # f(x) = 10 x: the negative of the inputs is 1 away, the embeddings are 10 apart.
    inputs, labels = float64([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 0, 1])
    m_star = margin(10 * inputs, labels).m_star.item()
    reach = (inputs[0] - inputs[2]).norm().item()
    assert m_star == 0
    assert 10 * (inputs[0] - inputs[1]).norm().item() == 10 > 2 * max(m_star, reach)


def test_a_margin_of_some_triplets_is_no_bound():
    # Without the negative at 0.1, m* would be -8, and D = 10.
    distance, some = bounds_of([[[0.0]], [[2.0]], [[10.0]]], [0, 0, 1])
    _, all_of_them = bounds_of([[[0.0]], [[2.0]], [[10.0]], [[0.1]]], [0, 0, 1, 1])
    sampled, nearest = 2 - 8.0, 0.1
    assert distance == 2 <= min(some.values())
    assert sampled + nearest < distance <= all_of_them["t3"]


@pytest.mark.parametrize("apart", [0.0, 1.0, 4.0])
def test_the_stated_bound_does_not_see_a_real_margin(apart):
    # Groups {0} and {apart}, the negative 5 further: m* = apart - 5, D = 5.
    distance, found = bounds_of([[[0.0]], [[apart]], [[apart + 5]]], [0, 0, 1])
    assert found["t1"] == pytest.approx(10)
    assert found["t1_prime"] == pytest.approx(distance) == pytest.approx(apart)


def test_the_maximum_leaves_every_bound():
    # Group of five unit vectors and group {0}, with a negative at 0: m* = 1 and D = 0.
    members = float64(
        [torch.eye(5).tolist(), torch.zeros(5, 5).tolist(), torch.zeros(5, 5).tolist()]
    )
    mask = torch.ones(3, 5, dtype=torch.bool)
    pooled = MaxAggregator(5)(members, mask)
    _, found = bounds_of(members.tolist(), [0, 0, 1])
    assert found["t1"] == pytest.approx(2)
    assert (pooled[0] - pooled[1]).norm().item() == pytest.approx(math.sqrt(5))


def test_a_median_of_each_coordinate_leaves_even_the_stated_bound():
    # e1, e2, e3 with median 0, the point (1, 1, 1), and a negative at the mean of the former.
    members = [torch.eye(3).tolist(), [[1.0] * 3] * 3, [[1 / 3] * 3] * 3]
    median = float64(members[0]).median(0).values
    _, found = bounds_of(members, [0, 0, 1])
    assert (median - 1).norm().item() == pytest.approx(math.sqrt(3))
    assert found["t1_prime"] == pytest.approx(math.sqrt(2))
    assert found["t1"] == pytest.approx(2 * math.sqrt(2 / 3))


def test_averages_may_be_nearer_to_another_class_in_spite_of_a_margin():
    # Simplices of four with distances sqrt(2) on coordinates of their own, one lifted: all
    # distances between them are sqrt(2.02).
    simplex = torch.eye(4).double() - 1 / 4
    members = torch.zeros(8, 9, dtype=torch.float64)
    members[:4, :4], members[4:, 4:8] = simplex, simplex
    members[4:, 8] = math.sqrt(2 / 4 + 0.02)
    labels = torch.tensor([0] * 4 + [1] * 4)
    m_star = margin(members, labels).m_star.item()
    assert m_star == pytest.approx(math.sqrt(2) - math.sqrt(2.02))
    first, second, other = members[:2].mean(0), members[2:4].mean(0), members[4:].mean(0)
    assert (first - second).norm().item() == pytest.approx(1)
    assert (first - other).norm().item() == pytest.approx(math.sqrt(0.77))


def test_sums_of_differences_separate_nothing():
    # L1: tetrahedra on disjoint coordinates, a margin of 2/3 and one mean.
    signs = float64([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / 3
    nothing = torch.zeros(4, 3).double()
    one, other = torch.cat([signs, nothing], 1), torch.cat([nothing, signs], 1)
    within = torch.cdist(one, one, p=1).max().item()
    across = torch.cdist(one, other, p=1).min().item()
    assert within - across == pytest.approx(-2 / 3)
    assert (one.mean(0) - other.mean(0)).abs().max().item() < 1e-15
