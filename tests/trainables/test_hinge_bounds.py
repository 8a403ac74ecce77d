import itertools
import math

import pytest
import torch
from torch.nn.functional import normalize

from tests.trainables.grouped_clouds import (
    KINDS,
    ORACLE,
    PAIRED,
    all_pairs,
    float64,
    oracle_groups,
    random_groups,
    uniform,
)
from trainables.hinge_bounds import (
    excess_bound,
    hinge_bound,
    normalised_bound,
)
from trainables.margin import group_margin
from trainables.tighter_bounds import hull_groups, tighter_bounds


def triples_of(labels, most=300):
    """Anchor group, positive group of its class, negative group of another."""
    first, second = all_pairs(labels)
    pair, negative = (labels[first][:, None] != labels).nonzero(as_tuple=True)
    chosen = torch.randperm(len(pair))[:most]
    pair, negative = pair[chosen], negative[chosen]
    return first[pair], second[pair], negative


def distances_of(members, weights, first, second):
    groups = torch.einsum("gp,gpw->gw", weights, members)
    return (groups[first] - groups[second]).norm(dim=1)


@pytest.mark.parametrize("loss_margin", [-0.5, 0.0, 1.5])
def test_t8_is_its_formula_triplet_by_triplet(loss_margin):
    members, mask, labels, weights = random_groups("overlapping", 3, width=3)
    triples = triples_of(labels, most=10)
    found = hinge_bound(members, weights, triples, loss_margin)
    for place, (a, p, n) in enumerate(zip(*(ids.tolist() for ids in triples), strict=True)):
        reached = hinge = 0.0
        for i, k in itertools.product(range(4), repeat=2):
            d_an = math.dist(members[a, i].tolist(), members[n, k].tolist())
            reached += float(weights[a, i] * weights[n, k]) * d_an
            for j in range(4):
                d_ap = math.dist(members[a, i].tolist(), members[p, j].tolist())
                weight = float(weights[a, i] * weights[p, j] * weights[n, k])
                hinge += weight * max(0.0, d_ap - d_an + loss_margin)
        assert found.hinge[place].item() == pytest.approx(hinge, abs=1e-9)
        assert found.bound[place].item() == pytest.approx(reached - loss_margin + hinge, abs=1e-9)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("loss_margin", [-2.0, 0.0, 0.2, 10.0])
def test_t8_is_never_violated(kind, loss_margin):
    for seed in range(2):
        members, mask, labels, weights = random_groups(kind, seed)
        triples = triples_of(labels)
        for of_members in (uniform(mask), weights):
            found = hinge_bound(members, of_members, triples, loss_margin)
            apart = distances_of(members, of_members, *triples[:2])
            assert len(apart) == 300
            assert (apart <= found.bound + 1e-9 * found.bound.abs().max()).all()


def test_a_loss_of_zero_leaves_the_mean_distance_to_negatives_less_the_margin():
    members, mask, labels, weights = random_groups("real margin", 0, width=3)
    m_star = group_margin(members, mask, labels).m_star.item()
    assert m_star < 0
    found = hinge_bound(members, weights, triples_of(labels), -m_star)
    assert found.hinge.max().item() <= 1e-12


@pytest.mark.parametrize("threshold", [-1.0, 0.0, 0.7])
def test_t9_is_its_formula_pair_by_pair(threshold):
    members, mask, labels, weights = random_groups("overlapping", 4, width=3)
    margin_of = group_margin(members, mask, labels)
    pairs = tuple(ids[:12] for ids in all_pairs(labels))
    found = excess_bound(margin_of, members, weights, pairs, threshold)
    for place, (a, b) in enumerate(zip(*(ids.tolist() for ids in pairs), strict=True)):
        expected = threshold
        for i, j in itertools.product(range(4), repeat=2):
            smaller = min(margin_of.delta[a, i].item(), margin_of.delta[b, j].item())
            excess = math.dist(members[a, i].tolist(), members[b, j].tolist()) - smaller
            weight = float(weights[a, i] * weights[b, j])
            expected += weight * (smaller + max(0.0, excess - threshold))
        assert found[place].item() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_t9_at_the_margin_is_t4_and_smaller_thresholds_only_tighten_it(kind):
    members, mask, labels, weights = random_groups(kind, 1)
    groups, pairs = hull_groups(members, mask, labels, weights), all_pairs(labels)
    t4 = tighter_bounds(groups, pairs).t4
    m_star, scale = groups.found.m_star.item(), groups.found.scale.item()
    looser = excess_bound(groups.found, members, weights, pairs, m_star)
    torch.testing.assert_close(looser, t4, rtol=0, atol=1e-9 * scale)
    for share in (0.1, 0.5, 2.0):
        found = excess_bound(groups.found, members, weights, pairs, m_star - share * scale)
        assert (found <= looser + 1e-9 * scale).all()
        looser = found


@pytest.mark.parametrize("name", PAIRED)
def test_t9_falls_to_the_mean_distance_of_the_members(name):
    members, mask, labels, _ = oracle_groups(name)
    found, pairs = group_margin(members, mask, labels), all_pairs(labels)
    bound = excess_bound(found, members, uniform(mask), pairs, -1e4)
    rows = ORACLE[name]["outputs"]["pair_bounds"]
    expected = {(row["g1"], row["g2"]): row["mean_member_distance"] for row in rows}
    for place, pair in enumerate(zip(*(ids.tolist() for ids in pairs), strict=True)):
        assert bound[place].item() == pytest.approx(expected[pair], abs=1e-9)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [1, 3, 64, 512])
def test_t9_is_never_violated_at_any_threshold(kind, width):
    members, mask, labels, weights = random_groups(kind, 5, width)
    found, pairs = group_margin(members, mask, labels), all_pairs(labels)
    scale = found.scale.item()
    for of_members in (uniform(mask), weights):
        apart = distances_of(members, of_members, *pairs)
        for threshold in (-2 * scale, -0.1 * scale, 0.0, scale):
            bound = excess_bound(found, members, of_members, pairs, threshold)
            assert (apart <= bound + 1e-9 * scale).all()


def test_chunks_change_nothing(monkeypatch):
    members, mask, labels, weights = random_groups("overlapping", 0, width=3)
    triples, pairs = triples_of(labels), all_pairs(labels)
    found = group_margin(members, mask, labels)
    whole = hinge_bound(members, weights, triples, 0.2)
    excess = excess_bound(found, members, weights, pairs, 0.2)
    monkeypatch.setattr("trainables.pairs.CACHED", 500)
    torch.testing.assert_close(hinge_bound(members, weights, triples, 0.2), whole)
    torch.testing.assert_close(excess_bound(found, members, weights, pairs, 0.2), excess)


def test_a_normalised_mean_leaves_the_bound_on_means_and_keeps_the_corrected_one():
    # m* = 0.0141 - 0.0224 < 0 and D = 0.0224, so no mean moves by more than 0.045.
    members = float64([[[0.01, 0.0]], [[0.0, 0.01]], [[0.02, 0.02]]])
    mask = torch.ones(3, 1, dtype=torch.bool)
    groups = hull_groups(members, mask, torch.tensor([0, 0, 1]), uniform(mask))
    found = tighter_bounds(groups, (torch.tensor([0]), torch.tensor([1])))
    first, second = members[:1, 0], members[1:2, 0]
    apart = (normalize(first, dim=1) - normalize(second, dim=1)).norm().item()
    assert apart == pytest.approx(math.sqrt(2))
    t1 = 2 * math.dist([0.01, 0.0], [0.02, 0.02])
    assert t1 == pytest.approx(0.045, abs=1e-3)
    assert apart > t1 > found.t4.item()
    corrected = normalised_bound(found.t4, first, second).item()
    assert corrected == pytest.approx(found.t4.item() / 0.01)
    assert apart <= corrected + 1e-12


@pytest.mark.parametrize("kind", KINDS)
def test_the_corrected_bound_holds_for_normalised_means(kind):
    for seed in range(5):
        members, mask, labels, weights = random_groups(kind, seed)
        groups, (first, second) = hull_groups(members, mask, labels, weights), all_pairs(labels)
        one, other = groups.embeddings[first], groups.embeddings[second]
        best = tighter_bounds(groups, (first, second)).best
        apart = (normalize(one, dim=1) - normalize(other, dim=1)).norm(dim=1)
        # Tight bounds leave nothing for the rounding of their roots.
        assert (apart <= normalised_bound(best, one, other) + 1e-5).all()


def test_of_two_zero_embeddings_nothing_is_apart():
    zero = torch.zeros(1, 2)
    assert normalised_bound(float64([3.0]), zero, zero).tolist() == [0]
    assert normalised_bound(float64([3.0]), zero, zero + 1).tolist() == pytest.approx(
        [6 / math.sqrt(2)]
    )
