import math

import pytest
import torch

from tests.trainables.grouped_clouds import ORACLE, PAIRED, float64, oracle_groups, uniform
from trainables import bounds
from trainables.margin import group_margin, margin

CLOSE = {"rtol": 0, "atol": 1e-9}


def hull(members, mask, labels, weights):
    """Bounds of a weighted mean."""
    embeddings = torch.einsum("gp,gpw->gw", weights, members)
    return bounds.bounds(members, mask, labels, weights, embeddings)


@pytest.mark.parametrize("name", ORACLE)
def test_m_star_agrees_with_brute_force_over_triplets(name):
    inputs, expected = ORACLE[name]["inputs"], ORACLE[name]["outputs"]["m_star"]
    points = float64(inputs["embeddings"])
    found = margin(points, torch.tensor(inputs["labels"])).m_star.item()
    assert math.isnan(found) if expected is None else found == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", PAIRED)
def test_the_theorem_agrees_for_every_negative_group(name):
    members, mask, labels, _ = oracle_groups(name)
    m_star = group_margin(members, mask, labels).m_star
    rows = ORACLE[name]["outputs"]["rows"]
    for row in rows:
        two = torch.tensor([row["g1"], row["gneg"]])
        reach = group_margin(members[two], mask[two], labels[two]).reach[0]
        assert reach.item() == pytest.approx(row["D"], abs=1e-9)
        assert (m_star + reach).item() == pytest.approx(row["bound_chain"], abs=1e-9)


@pytest.mark.parametrize("name", PAIRED)
def test_the_theorem_takes_the_best_negative_group_and_the_better_anchor_side(name):
    members, mask, labels, _ = oracle_groups(name)
    found = hull(members, mask, labels, uniform(mask))
    rows = ORACLE[name]["outputs"]["rows"]
    for place, pair in enumerate(zip(found.first.tolist(), found.second.tolist(), strict=True)):
        of_pair = [row for row in rows if {row["g1"], row["g2"]} == set(pair)]
        assert found.distance[place].item() == pytest.approx(of_pair[0]["distance"], abs=1e-9)
        for bound, key in ((found.t1, "bound_2max"), (found.t1_prime, "bound_chain")):
            best = min(row[key] for row in of_pair)
            assert bound[place].item() == pytest.approx(best, abs=1e-9)


@pytest.mark.parametrize("name", PAIRED)
@pytest.mark.parametrize(
    ("weighted", "distance", "t4"),
    [(False, "distance", "B_pair_min"), (True, "weighted_distance", "B_weighted")],
)
def test_t4_agrees_for_means_and_weighted_means(name, weighted, distance, t4):
    members, mask, labels, weights = oracle_groups(name)
    found = hull(members, mask, labels, weights if weighted else uniform(mask))
    rows = {(row["g1"], row["g2"]): row for row in ORACLE[name]["outputs"]["pair_bounds"]}
    expected = [
        rows[pair] for pair in zip(found.first.tolist(), found.second.tolist(), strict=True)
    ]
    assert 2 * len(expected) == len(rows)
    torch.testing.assert_close(
        found.distance, float64([row[distance] for row in expected]), **CLOSE
    )
    torch.testing.assert_close(found.t4, float64([row[t4] for row in expected]), **CLOSE)


def random_groups(kind, seed):
    """Groups of 1 to 4 points in overlapping, separated, repeated or normalised clouds."""
    generator = torch.Generator().manual_seed(seed)
    groups, points, width = 40, 4, int(torch.randint(1, 6, (), generator=generator))
    labels = torch.randint(6, (groups,), generator=generator)
    centres = torch.randn(6, width, generator=generator, dtype=torch.float64)
    noise = torch.randn(groups, points, width, generator=generator, dtype=torch.float64)
    members = centres[labels][:, None] * {"separated": 20.0}.get(kind, 1.0) + noise
    if kind == "duplicates":
        members = members.round()
    if kind == "unit sphere":
        members = members / members.norm(dim=-1, keepdim=True)
    mask = torch.rand(groups, points, generator=generator) < 0.7
    mask[:, 0] = True
    if kind == "singletons":
        mask[:, 1:] = False
    weights = torch.rand(groups, points, generator=generator, dtype=torch.float64) ** 4 * mask
    return members, mask, labels, weights / weights.sum(1, keepdim=True)


KINDS = ["overlapping", "separated", "duplicates", "singletons", "unit sphere"]


@pytest.mark.parametrize("kind", KINDS)
def test_no_bound_is_violated_inside_the_hull(kind):
    pairs = 0
    for seed in range(10):
        members, mask, labels, weights = random_groups(kind, seed)
        for of_members in (uniform(mask), weights):
            found = hull(members, mask, labels, of_members)
            pairs += len(found.first)
            for name in bounds.BOUNDS:
                assert not found.violated(name).any()
    assert pairs > 2000


@pytest.mark.parametrize("kind", KINDS)
def test_the_bounds_are_ordered(kind):
    found = hull(*random_groups(kind, 0))
    assert (found.t4 <= found.t1_prime + 1e-12).all()
    assert (found.t1_prime <= found.t1 + 1e-12).all()


def unit_vectors_against_the_origin():
    """Class 0: groups {0} and {e1, e2, e3} in three dimensions; class 1: the origin."""
    members = torch.zeros(3, 3, 3)
    members[1] = torch.eye(3)
    mask = torch.tensor([[True, False, False], [True] * 3, [True, False, False]])
    return members, mask, torch.tensor([0, 0, 1])


def test_the_largest_feature_of_each_member_leaves_the_hull_and_the_theorem():
    members, mask, labels = unit_vectors_against_the_origin()
    # m* = d(e1, e2) - d(e1, 0) = 0.41 or d(0, e1) - d(0, 0) = 1, and D = 0 from the group {0}, so
    # m* + D = 1, but the maxima 0 and (1, 1, 1) lie sqrt(3) apart.
    found = bounds.bounds(members, mask, labels, uniform(mask), members.amax(1))
    assert found.m_star.item() == 1
    assert found.t1_prime.tolist() == [1]
    assert found.distance.item() == pytest.approx(math.sqrt(3))
    assert found.violated("t1_prime").all()


def test_outside_the_hull_there_is_a_distance_but_no_bound():
    members, mask, labels = unit_vectors_against_the_origin()
    found = bounds.bounds(members, mask, labels, None, members.amax(1))
    assert found.distance.item() == pytest.approx(math.sqrt(3))
    for name in bounds.BOUNDS:
        assert found.bound(name).isnan().all()
        assert not found.violated(name).any()


def test_gap_relative_gap_and_tightness_compare_bound_and_distance():
    members = torch.tensor([[[0.0]], [[1.0]], [[4.0]]])
    found = hull(
        members.double(),
        torch.ones(3, 1).bool(),
        torch.tensor([0, 0, 1]),
        torch.ones(3, 1).double(),
    )
    # m* = 1 - 3 from anchor 1; delta is 4 and 3; different classes are 3.5 apart on average.
    assert found.t4.tolist() == [1.0]
    assert found.gap("t1").tolist() == [5.0]
    assert found.relative_gap("t1").tolist() == [5 / 3.5]
    assert found.tightness("t1").tolist() == [1 / 6]


def test_collapsed_embeddings_are_tight_and_violate_nothing():
    found = hull(
        torch.ones(4, 2, 3).double(),
        torch.ones(4, 2).bool(),
        torch.tensor([0, 0, 1, 1]),
        torch.full((4, 2), 0.5).double(),
    )
    for name in bounds.BOUNDS:
        assert found.gap(name).tolist() == [0, 0]
        assert found.tightness(name).tolist() == [1, 1]
        assert found.relative_gap(name).isnan().all()
        assert not found.violated(name).any()


def test_chunks_of_pairs_change_nothing(monkeypatch):
    whole = hull(*random_groups("overlapping", 0))
    monkeypatch.setattr("trainables.pairs.CACHED", 50)
    parts = hull(*random_groups("overlapping", 0))
    torch.testing.assert_close(parts.distance, whole.distance)
    torch.testing.assert_close(parts.t4, whole.t4)


def test_without_pairs_there_are_no_bounds():
    found = hull(
        torch.rand(2, 1, 3).double(),
        torch.ones(2, 1).bool(),
        torch.tensor([0, 1]),
        torch.ones(2, 1).double(),
    )
    assert found.distance.shape == found.t4.shape == (0,)
