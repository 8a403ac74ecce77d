import itertools
import math

import pytest
import torch

from tests.trainables.grouped_clouds import (
    KINDS,
    ORACLE,
    float64,
    half_margin_share,
    oracle_groups,
    random_groups,
    uniform,
)
from trainables import separation
from trainables.margin import group_margin
from trainables.separation import (
    SEPARATION_BOUNDS,
    certified,
    raise_largest,
    separations,
)
from trainables.tighter_bounds import hull_groups


def separated(members, mask, labels, weights):
    """Every pair of groups of different classes at once."""
    found = group_margin(members, mask, labels)
    parts = list(separations(found, members, mask, labels, weights))
    fields = ("first", "second", "distance", *SEPARATION_BOUNDS)
    joined = {name: torch.cat([getattr(part, name) for part in parts]) for name in fields}
    return separation.Separation(**joined, scale=found.scale)


@pytest.mark.parametrize("name", [name for name in ORACLE if ORACLE[name]["outputs"]["separation"]])
def test_s2_agrees_with_pure_python(name):
    members, mask, labels, _ = oracle_groups(name)
    found = separated(members, mask, labels, uniform(mask))
    rows = {(row["g1"], row["g2"]): row for row in ORACLE[name]["outputs"]["separation"]}
    assert len(rows) == len(found.first)
    for place, pair in enumerate(zip(found.first.tolist(), found.second.tolist(), strict=True)):
        row = rows[pair]
        assert found.distance[place].item() == pytest.approx(row["distance"], abs=1e-9)
        assert found.s1[place].item() == pytest.approx(row["gamma"], abs=1e-9)
        assert found.s2[place].item() == pytest.approx(row["lower_bound"], abs=1e-9)


def naive(members, mask, weights, m_star, pair):
    """S2, without the case of no promise, and S3 of one pair, member by member."""
    one, other = ([i for i in range(4) if mask[group, i]] for group in pair)
    a, b = pair
    far = {(g, i, h, j): math.dist(members[g, i].tolist(), members[h, j].tolist())
           for g, h in itertools.product(pair, repeat=2)
           for i, j in itertools.product(range(4), repeat=2)}  # fmt: skip
    w = weights.tolist()
    within = sum(
        w[g][i] * w[g][j] * far[g, i, g, j]
        for g in pair
        for i, j in itertools.product(range(4), repeat=2)
    )
    s3 = sum(w[a][i] * w[b][j] * far[a, i, b, j] ** 2 for i in one for j in other)
    for i in one:
        nearest = min(far[a, i, b, j] for j in other)
        s3 -= 0.5 * w[a][i] * (1 - w[a][i]) * (nearest + m_star) ** 2
    for j in other:
        nearest = min(far[a, i, b, j] for i in one)
        s3 -= 0.5 * w[b][j] * (1 - w[b][j]) * (nearest + m_star) ** 2
    return m_star**2 - m_star * within, max(0, s3)


@pytest.mark.parametrize("kind", KINDS)
def test_weighted_bounds_are_the_formulas_member_by_member(kind):
    members, mask, labels, weights = random_groups(kind, 1, width=3)
    # Amid the points, padding would be nearest to many if it counted.
    members[~mask] = members[mask].mean(0)
    found = separated(members, mask, labels, weights)
    m_star = group_margin(members, mask, labels).m_star.item()
    for place in range(0, len(found.first), 29):
        pair = int(found.first[place]), int(found.second[place])
        s2, s3 = naive(members, mask, weights, m_star, pair)
        assert found.s3[place].item() ** 2 == pytest.approx(s3, rel=1e-9, abs=1e-6)
        expected = s2 if m_star < 0 else 0
        assert found.s2[place].item() ** 2 == pytest.approx(expected, rel=1e-9)
        assert found.s1[place].item() == pytest.approx(max(0, -m_star), rel=1e-9)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [None, 1, 2, 32, 512])
def test_no_bound_is_violated(kind, width):
    negative = 0
    for seed in range(2):
        members, mask, labels, weights = random_groups(kind, seed, width)
        for of_members in (uniform(mask), weights):
            found = separated(members, mask, labels, of_members)
            assert len(found.first) > 250
            negative += int(found.s1.max() > 0)
            assert (found.s1 <= found.s2).all()
            for name in SEPARATION_BOUNDS:
                assert not found.violated(name).any(), name
    if kind == "real margin":
        assert negative == 4


def test_every_pair_of_different_classes_stands_there_once():
    members, mask, labels, weights = random_groups("overlapping", 0)
    found = separated(members, mask, labels, weights)
    pairs = list(zip(found.first.tolist(), found.second.tolist(), strict=True))
    groups = range(len(labels))
    expected = [p for p in itertools.combinations(groups, 2) if labels[p[0]] != labels[p[1]]]
    assert sorted(pairs) == expected


def test_tiles_change_nothing(monkeypatch):
    case = random_groups("real margin", 0, width=3)
    whole = separated(*case)
    monkeypatch.setattr(separation, "TILE", 1000)
    parts = separated(*case)
    for name in ("first", "second", "distance", *SEPARATION_BOUNDS):
        torch.testing.assert_close(getattr(parts, name), getattr(whole, name))


def test_a_case_worked_by_hand():
    # Class 0: 0, 2 in one group; class 1: 6. m* = 2 - 4, from 2.
    members = float64([[[0.0], [2.0]], [[6.0], [99.0]]])
    mask = torch.tensor([[True, True], [True, False]])
    found = separated(members, mask, torch.tensor([0, 1]), uniform(mask))
    assert found.distance.tolist() == [5.0]
    assert found.s1.tolist() == [2.0]
    # Members of the first group are 1 apart on average, those of the second 0.
    assert found.s2.tolist() == pytest.approx([math.sqrt(4 + 2 * 1)])
    # The mean square across is 26. 0 and 2 are 6 and 4 from the other group, 4 and 2 without the
    # margin: their variance is at most a quarter of the mean of 16 and 4.
    assert found.s3.tolist() == pytest.approx([math.sqrt(26 - 5 / 2)])
    assert found.tightness("s1").tolist() == [0.4]


def test_two_classes_of_one_point_are_promised_nothing_by_the_margin_of_others():
    # Class 2 has a margin of 98, and nothing keeps 0 and 1 apart: neither is an anchor.
    members = float64([[[0.0]], [[1.0]], [[100.0]], [[101.0]]])
    labels, mask = torch.tensor([0, 1, 2, 2]), torch.ones(4, 1, dtype=torch.bool)
    found = separated(members, mask, labels, uniform(mask))
    assert found.s1.tolist() == [0.0, 98.0, 98.0, 98.0, 98.0]
    assert not any(found.violated(name).any() for name in SEPARATION_BOUNDS)


def test_without_triplets_nothing_is_promised():
    members, mask = torch.rand(3, 1, 2), torch.ones(3, 1, dtype=torch.bool)
    found = separated(members, mask, torch.arange(3), uniform(mask))
    for name in SEPARATION_BOUNDS:
        assert found.bound(name).tolist() == [0, 0, 0]
        assert not found.violated(name).any()


@pytest.mark.parametrize("points", [4, 16])
def test_a_margin_of_zero_lets_large_groups_meet(points):
    # Two simplices with all distances sqrt(2): the second is lifted so that the centroids stand
    # on one axis, sqrt(2 / points) apart.
    simplex = torch.eye(points).double()
    apart = torch.cdist(simplex, simplex)
    height = math.sqrt(2 / points)
    lifted = torch.cat([simplex - simplex.mean(0), torch.zeros(points, points)], 1)
    other = torch.cat([torch.zeros(points, points), simplex - simplex.mean(0)], 1)
    members = torch.stack([lifted, other])
    members = torch.cat([members, torch.zeros(2, points, 1)], 2)
    members[1, :, -1] = height
    labels, mask = torch.tensor([0, 1]), torch.ones(2, points, dtype=torch.bool)
    found = separated(members, mask, labels, uniform(mask))
    assert apart.max().item() == pytest.approx(math.sqrt(2))
    assert group_margin(members, mask, labels).m_star.item() == pytest.approx(0, abs=1e-9)
    assert found.distance.tolist() == pytest.approx([height])
    # Its distance shrinks with the groups, and only S3 notices.
    assert found.s1.item() == pytest.approx(0, abs=1e-9)
    assert found.s3.tolist() == pytest.approx([height])


def test_a_group_is_as_certain_as_its_largest_bound():
    largest = torch.full((5,), -torch.inf, dtype=torch.float64)
    pairs = torch.tensor([0, 0, 1]), torch.tensor([1, 2, 2])
    raise_largest(largest, pairs, float64([1.0, 3.0, 2.0]))
    assert largest.tolist() == [3.0, 2.0, 3.0, -torch.inf, -torch.inf]
    raise_largest(largest, (torch.tensor([3]), torch.tensor([4])), float64([1.0]))
    assert certified(largest, float64(-2.0)).tolist() == [False, True, False, True, True]
    assert not certified(float64([0.0]), float64(0.0)).any()
    assert not certified(largest, float64(math.nan)).any()


def test_a_group_alone_in_its_class_is_not_certified():
    assert not certified(float64([-math.inf]), float64(-1.0)).any()


def nearest_first(groups, labels):
    """Whether the other groups of its class are nearest to each group."""
    apart = torch.cdist(groups.embeddings, groups.embeddings)
    same = labels[:, None] == labels
    other = apart.masked_fill(same, torch.inf).amin(1)
    own = apart.masked_fill(~same, 0).amax(1)
    return own < other


@pytest.mark.parametrize("kind", KINDS)
def test_certified_groups_retrieve_without_errors(kind):
    shares = []
    for seed in range(6):
        members, mask, labels, weights = random_groups(kind, seed)
        for of_members in (uniform(mask), weights):
            groups = hull_groups(members, mask, labels, of_members)
            share = half_margin_share(groups, labels)
            right = nearest_first(groups, labels)[labels.bincount()[labels] > 1]
            assert share <= right.double().mean().item()
            shares.append(share)
    if kind == "real margin":
        assert max(shares) == 1
    if kind == "overlapping":
        assert max(shares) == 0


def test_the_certificate_follows_its_formula():
    # Class 0: 0, 1, class 1: 7, 9. m* = 2 - 6 from 7, gamma = 4. delta: 7, 6, 6, 8. Both pairs
    # have a smaller delta of 6, and 2 gamma = 8 is enough; T4 = 2 is below gamma.
    labels, mask = torch.tensor([0, 0, 1, 1]), torch.ones(4, 1, dtype=torch.bool)
    members = float64([[[0.0]], [[1.0]], [[7.0]], [[9.0]]])
    assert half_margin_share(hull_groups(members, mask, labels, uniform(mask)), labels) == 1
    # 20 and 24 of class 2 have smaller deltas of 11 and 11 > 8, and no certificate.
    more = torch.cat([members, float64([[[20.0]], [[24.0]]])])
    labels, mask = torch.tensor([0, 0, 1, 1, 2, 2]), torch.ones(6, 1, dtype=torch.bool)
    assert half_margin_share(hull_groups(more, mask, labels, uniform(mask)), labels) == (
        pytest.approx(4 / 6)
    )


def test_classes_of_one_group_have_no_share():
    members, mask, labels = torch.rand(3, 2, 2), torch.ones(3, 2).bool(), torch.arange(3)
    assert math.isnan(half_margin_share(hull_groups(members, mask, labels, uniform(mask)), labels))
