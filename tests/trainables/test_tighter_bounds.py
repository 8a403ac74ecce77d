import itertools
import math

import pytest
import torch

from tests.trainables.grouped_clouds import (
    KINDS,
    ORACLE,
    PAIRED,
    all_pairs,
    float64,
    oracle_groups,
    random_groups,
    theorem,
    uniform,
)
from trainables import tighter_bounds
from trainables.margin import group_margin
from trainables.tighter_bounds import TIGHTER_BOUNDS, hull_groups

CLOSE = {"rtol": 0, "atol": 1e-9}


def found_of(members, mask, labels, weights):
    groups = hull_groups(members, mask, labels, weights)
    return tighter_bounds.tighter_bounds(groups, all_pairs(labels))


def oracle_rows(name, found, key):
    rows = {(row["g1"], row["g2"]): row[key] for row in ORACLE[name]["outputs"]["pair_bounds"]}
    pairs = list(zip(found.first.tolist(), found.second.tolist(), strict=True))
    assert 2 * len(pairs) == len(rows)
    return float64([rows[pair] for pair in pairs]), float64([rows[pair[::-1]] for pair in pairs])


@pytest.mark.parametrize("name", PAIRED)
def test_bounds_on_means_agree_with_pure_python(name):
    members, mask, labels, _ = oracle_groups(name)
    found = found_of(members, mask, labels, uniform(mask))
    of_pair = {"distance": "distance", "t4": "B_pair_min", "t6": "B_variance"}
    for ours, theirs in of_pair.items():
        expected, _ = oracle_rows(name, found, theirs)
        torch.testing.assert_close(getattr(found, ours), expected, **CLOSE)
    for ours, theirs in {"t2": "B_max_min", "t3": "B_mean_min"}.items():
        expected = torch.minimum(*oracle_rows(name, found, theirs))
        torch.testing.assert_close(getattr(found, ours), expected, **CLOSE)


@pytest.mark.parametrize("name", PAIRED)
def test_bounds_on_weighted_means_agree_with_pure_python(name):
    found = found_of(*oracle_groups(name))
    for ours, theirs in {"distance": "weighted_distance", "t4": "B_weighted"}.items():
        torch.testing.assert_close(
            getattr(found, ours), oracle_rows(name, found, theirs)[0], **CLOSE
        )


@pytest.mark.parametrize("name", PAIRED)
def test_variances_of_groups_agree_with_pure_python(name):
    members, mask, labels, _ = oracle_groups(name)
    spread = hull_groups(members, mask, labels, uniform(mask)).variance
    for row in ORACLE[name]["outputs"]["pair_bounds"]:
        assert spread[row["g1"]].item() == pytest.approx(row["V1"], abs=1e-9)


def brute_force(points, labels, power):
    """Largest d(a, p)^power - d(a, n)^power over all triplets."""
    rows, labels, indices = points.tolist(), labels.tolist(), range(len(labels))
    return max(
        (
            math.dist(rows[a], rows[p]) ** power - math.dist(rows[a], rows[n]) ** power
            for a, p, n in itertools.product(indices, repeat=3)
            if a != p and labels[a] == labels[p] != labels[n]
        ),
        default=math.nan,
    )


def squared_margin(points, labels):
    return group_margin(points[:, None], torch.ones(len(points), 1).bool(), labels).m_squared


@pytest.mark.parametrize("name", ORACLE)
def test_the_squared_margin_is_the_maximum_over_all_triplets(name):
    points = float64(ORACLE[name]["inputs"]["embeddings"])
    labels = torch.tensor(ORACLE[name]["inputs"]["labels"])
    expected = brute_force(points, labels, 2)
    found = squared_margin(points, labels).item()
    assert found == pytest.approx(expected, abs=1e-9, nan_ok=True)


def test_without_triplets_the_squared_margin_is_nan():
    assert squared_margin(torch.rand(3, 2), torch.zeros(3, dtype=torch.int64)).isnan()
    assert squared_margin(torch.rand(3, 2), torch.arange(3)).isnan()


def naive(members, weights, groups, pair):
    """T3, T6 and T7 of one pair, member by member."""
    m_star, delta = groups.found.m_star.item(), groups.found.delta
    one, other = pair
    t3 = min(m_star + sum(float(weights[g, i] * delta[g, i]) for i in range(4)) for g in pair)
    t6 = t7 = 0.0
    for i, j in itertools.product(range(4), repeat=2):
        weight = float(weights[one, i] * weights[other, j])
        smaller = min(float(delta[one, i]), float(delta[other, j]))
        t6 += weight * (m_star + smaller) ** 2
        t7 += weight * (groups.found.m_squared.item() + smaller**2)
    for g in pair:
        centre = sum(weights[g, i] * members[g, i] for i in range(4))
        spread = [float(weights[g, i] * (members[g, i] - centre).square().sum()) for i in range(4)]
        t6, t7 = t6 - sum(spread), t7 - sum(spread)
    return t3, math.sqrt(max(0, t6)), math.sqrt(max(0, t7))


@pytest.mark.parametrize("kind", KINDS)
def test_weighted_bounds_are_the_formulas_member_by_member(kind):
    members, mask, labels, weights = random_groups(kind, 1, width=3)
    # Amid the points, padding would be nearest to many if it counted.
    members[~mask] = members[mask].mean(0)
    groups = hull_groups(members, mask, labels, weights)
    found = tighter_bounds.tighter_bounds(groups, all_pairs(labels))
    for place in range(0, len(found.first), 7):
        pair = int(found.first[place]), int(found.second[place])
        expected = naive(members, weights, groups, pair)
        ours = [bound[place].item() for bound in (found.t3, found.t6, found.t7)]
        # A root of a difference of squares keeps half of the digits of the squares.
        squares = [value**2 for value in expected]
        assert [value**2 for value in ours] == pytest.approx(squares, rel=1e-9, abs=1e-6)


def test_a_case_worked_by_hand():
    # Class 0: {0, 2} and {3}; class 1: 10. delta: 10, 8, 7. m* = 3 - 10, from 0 or 1 - 7 = -6 and
    # from 3: 3 - 7 = -4; m2 = 9 - 49 = -40 from 3.
    members = float64([[[0.0], [2.0]], [[3.0], [99.0]], [[10.0], [99.0]]])
    mask = torch.tensor([[True, True], [True, False], [True, False]])
    labels = torch.tensor([0, 0, 1])
    found = found_of(members, mask, labels, uniform(mask))
    assert found.distance.tolist() == [2.0]
    # All minima are 7: T2, T3 take the group {3}; V = 1.
    assert found.t2.tolist() == found.t3.tolist() == found.t4.tolist() == [3.0]
    assert found.t6.tolist() == pytest.approx([math.sqrt(9 - 1)])
    assert found.t7.tolist() == pytest.approx([math.sqrt(49 - 40 - 1)])
    assert found.best.tolist() == pytest.approx([math.sqrt(8)])
    # The only negative is 10, at most 10 from {0, 2} and 7 from {3}: T1'' is -4 + 7.
    assert group_margin(members, mask, labels).point_reach.tolist() == [10.0, 7.0, 7.0]
    assert found.t1_double_prime.tolist() == [3.0]
    assert found.relative_gap("t4").tolist() == pytest.approx([3 / 25])
    assert found.tightness("t4").tolist() == pytest.approx([2 / 3])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [None, 1, 2, 32, 512])
def test_no_bound_is_violated(kind, width):
    pairs = 0
    for seed in range(3):
        members, mask, labels, weights = random_groups(kind, seed, width)
        for of_members in (uniform(mask), weights):
            found = found_of(members, mask, labels, of_members)
            pairs += len(found.first)
            for name in TIGHTER_BOUNDS:
                assert not found.violated(name).any(), name
                rounding = 1e-5 * float(found.scale)
                assert (found.gap(name) >= -rounding).all(), name
    assert pairs > 400


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_the_bounds_are_ordered(kind, seed):
    members, mask, labels, weights = random_groups(kind, seed)
    for of_members in (uniform(mask), weights):
        groups = hull_groups(members, mask, labels, of_members)
        looser = theorem(members, mask, labels, of_members)
        found = tighter_bounds.tighter_bounds(groups, (looser.first, looser.second))
        one_point, t1_prime = found.t1_double_prime, looser.t1_prime
        order = [found.t4, found.t3, found.t2, one_point, t1_prime, looser.t1]
        for smaller, larger in itertools.pairwise(order):
            assert (smaller <= larger + 1e-9 * found.scale).all()
        assert (found.best <= found.t4).all()
        assert (found.best <= torch.minimum(found.t6, found.t7)).all()


def test_the_best_bound_comes_close_and_each_of_its_parts_can_win():
    winners = set()
    for kind, seed in itertools.product(KINDS, range(4)):
        found = found_of(*random_groups(kind, seed, width=4))
        winners |= set(torch.stack([found.t4, found.t6, found.t7]).argmin(0).tolist())
    # T6 is below T4 unless the variances are small.
    assert {1, 2} <= winners


def test_collapsed_points_have_bounds_of_zero():
    members = torch.ones(4, 2, 3)
    mask = torch.ones(4, 2, dtype=torch.bool)
    found = found_of(members, mask, torch.tensor([0, 0, 1, 1]), uniform(mask))
    for name in TIGHTER_BOUNDS:
        assert found.bound(name).tolist() == [0, 0]
        assert found.tightness(name).tolist() == [1, 1]
        assert not found.violated(name).any()


def unit_vectors_against_the_origin(first):
    """Class 0: ``first`` and the unit vectors of three dimensions; class 1: the origin."""
    members = torch.stack([torch.tensor(first).expand(3, 3), torch.eye(3), torch.zeros(3, 3)])
    mask = torch.tensor([[True, False, False], [True] * 3, [True, False, False]])
    return members.double(), mask, torch.tensor([0, 0, 1])


@pytest.mark.parametrize("outside", ["largest feature", "sum"])
def test_outside_the_hull_the_bounds_do_not_hold(outside):
    members, mask, labels = unit_vectors_against_the_origin([0.0, 0.0, 0.0])
    found = found_of(members, mask, labels, uniform(mask))
    group = members[1].amax(0) if outside == "largest feature" else members[1].sum(0)
    # Both are (1, 1, 1), sqrt(3) from the origin.
    for name in TIGHTER_BOUNDS:
        assert group.norm().item() > found.bound(name).item()


def test_the_median_of_each_feature_leaves_the_hull_and_the_bound():
    # The median of e1, e2, e3 is 0: sqrt(3) from (1, 1, 1), from which each of them is sqrt(2).
    members, mask, labels = unit_vectors_against_the_origin([1.0, 1.0, 1.0])
    members[2] = float64([1 / 3, 1 / 3, 1 / 3])
    found = found_of(members, mask, labels, uniform(mask))
    median = members[1].median(0).values
    distance = (members[0, 0] - median).norm().item()
    assert distance == pytest.approx(math.sqrt(3))
    assert distance > found.t4.item()


def test_chunks_change_nothing(monkeypatch):
    case = random_groups("overlapping", 0, width=3)
    whole = found_of(*case)
    monkeypatch.setattr("trainables.pairs.CACHED", 50)
    parts = found_of(*case)
    for name in ("distance", *TIGHTER_BOUNDS):
        torch.testing.assert_close(getattr(parts, name), getattr(whole, name))


def test_a_bound_that_is_too_small_is_violated():
    found = found_of(*random_groups("overlapping", 0, width=3))
    halved = tighter_bounds.TighterBounds(
        **{**vars(found), "t6": 0.9 * found.distance, "t2": found.distance}
    )
    assert halved.violated("t6").all()
    assert halved.violated("best").all()
    assert not halved.violated("t2").any()


def test_without_pairs_there_are_no_bounds():
    members = torch.rand(2, 1, 3)
    mask = torch.ones(2, 1, dtype=torch.bool)
    found = found_of(members, mask, torch.arange(2), uniform(mask))
    assert found.best.shape == found.t2.shape == (0,)
