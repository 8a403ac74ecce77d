import itertools
import math

import pytest
import torch

from tests.trainables.grouped_clouds import (
    KINDS,
    all_pairs,
    float64,
    random_groups,
    uniform,
)
from trainables.loss_bounds import loss_bounds
from trainables.tighter_bounds import hull_groups, tighter_bounds


def found_of(members, mask, labels, weights, seed=0):
    groups = hull_groups(members, mask, labels, weights)
    return groups, loss_bounds(groups, members, labels, all_pairs(labels), seed)


def members_with_weight(members, weights, group):
    rows = zip(members[group].tolist(), weights[group].tolist(), strict=True)
    return [(point, weight) for point, weight in rows if weight > 0]


def t8_of(members, weights, anchor, positive, negative):
    """The mean of the larger of d(a, p) and d(a, n), triplet by triplet."""
    groups = (members_with_weight(members, weights, of) for of in (anchor, positive, negative))
    return sum(
        alpha * beta * nu * max(math.dist(a, p), math.dist(a, n))
        for (a, alpha), (p, beta), (n, nu) in itertools.product(*groups)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_t8_is_a_mean_of_larger_distances_for_some_group_of_another_class(kind):
    members, mask, labels, weights = random_groups(kind, 2, width=3)
    _, found = found_of(members, mask, labels, weights)
    for place in range(0, len(found.first), 11):
        one, other = int(found.first[place]), int(found.second[place])
        possible = [
            t8_of(members, weights, one, other, negative)
            for negative in range(len(labels))
            if labels[negative] != labels[one]
        ]
        assert min(abs(found.t8[place].item() - value) for value in possible) < 1e-9


def test_every_group_of_another_class_may_be_the_negative():
    # Pairs of single points, much closer than their negatives: T8 tells which of these it was.
    points = float64([0.0, 0.5, 10.0, 33.0, 10.25, 33.125])
    labels, mask = torch.tensor([1, 1, 0, 2, 0, 2]), torch.ones(6, 1, dtype=torch.bool)
    members = points[:, None, None]
    found = [found_of(members, mask, labels, uniform(mask), seed)[1].t8 for seed in range(60)]
    assert all_pairs(labels)[0].tolist() == [0, 2, 3]
    assert set(torch.stack(found)[:, 0].tolist()) == {10, 10.25, 33, 33.125}
    assert set(torch.stack(found)[:, 1].tolist()) == {10, 9.5, 23, 23.125}
    assert set(torch.stack(found)[:, 2].tolist()) == {33, 32.5, 23, 22.75}


def test_the_seed_decides():
    case = random_groups("overlapping", 0, width=3)
    first, again, other = (found_of(*case, seed)[1] for seed in (1, 1, 2))
    assert first.t8.tolist() == again.t8.tolist() != other.t8.tolist()
    assert first.t9.tolist() == other.t9.tolist()


def excesses(groups, members, weights, pairs):
    """Distance less the smaller delta of all members of the pairs, largest first."""
    delta = groups.found.delta.tolist()
    values = []
    for one, other in zip(*(ids.tolist() for ids in pairs), strict=True):
        for i, j in itertools.product(range(members.shape[1]), repeat=2):
            if weights[one, i] > 0 and weights[other, j] > 0:
                apart = math.dist(members[one, i].tolist(), members[other, j].tolist())
                values.append(apart - min(delta[one][i], delta[other][j]))
    return sorted(values, reverse=True)


@pytest.mark.parametrize("kind", KINDS)
def test_the_threshold_forgives_one_percent(kind):
    members, mask, labels, weights = random_groups(kind, 3, width=3)
    # Padding at the very centre must not count.
    members[~mask] = members[mask].mean(0)
    groups, found = found_of(members, mask, labels, weights)
    values = excesses(groups, members, weights, all_pairs(labels))
    assert found.threshold.item() == pytest.approx(values[len(values) // 100], abs=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_t9_is_the_formula_at_the_threshold_and_never_above_t4(kind):
    members, mask, labels, weights = random_groups(kind, 4, width=3)
    groups, found = found_of(members, mask, labels, weights)
    t, delta = found.threshold.item(), groups.found.delta.tolist()
    for place in range(0, len(found.first), 11):
        one, other = int(found.first[place]), int(found.second[place])
        expected = t
        for i, j in itertools.product(range(4), repeat=2):
            smaller = min(delta[one][i], delta[other][j])
            apart = math.dist(members[one, i].tolist(), members[other, j].tolist())
            weight = float(weights[one, i] * weights[other, j])
            expected += weight * (smaller + max(0.0, apart - smaller - t))
        assert found.t9[place].item() == pytest.approx(expected, abs=1e-9)
    t4 = tighter_bounds(groups, all_pairs(labels)).t4
    assert (found.t9 <= t4 + 1e-9 * found.scale).all()


def test_a_bad_pair_moves_the_margin_and_not_the_threshold():
    # Two classes of thirty points in two clouds, and a single pair that is far apart inside one:
    # 1 of 870 pairs.
    labels, mask = torch.arange(60) % 2, torch.ones(60, 1, dtype=torch.bool)
    members = 10 * labels[:, None, None] + torch.rand(60, 1, 1).double()
    before, found = found_of(members, mask, labels, uniform(mask))
    members[0], members[2] = -2.0, 3.0
    after, moved = found_of(members, mask, labels, uniform(mask))
    assert after.found.m_star.item() > before.found.m_star.item() + 4
    assert moved.threshold.item() < found.threshold.item() + 4


def test_without_other_classes_nothing_is_promised():
    members, mask = torch.rand(3, 2, 2), torch.ones(3, 2, dtype=torch.bool)
    _, found = found_of(members, mask, torch.zeros(3).long(), uniform(mask))
    for name in ("t8", "t9"):
        assert found.bound(name).isnan().all()
        assert not found.violated(name).any()


def test_a_bound_that_is_too_small_is_violated():
    _, found = found_of(*random_groups("overlapping", 0, width=3))
    assert (found.distance > 0).all()
    halved = type(found)(**{**vars(found), "t8": found.distance / 2, "t9": found.distance})
    assert halved.violated("t8").all()
    assert not halved.violated("t9").any()
