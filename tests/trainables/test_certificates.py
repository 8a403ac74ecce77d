"""Certificates against a formula in plain loops, and against every margin that really holds."""

import itertools
import math

import pytest
import torch

from tests.trainables.grouped_clouds import KINDS, float64, members_of, random_groups
from trainables.certificates import Reference, certificates, reference
from trainables.margin import margin


def every_pair(groups):
    return tuple(torch.combinations(torch.arange(groups), with_replacement=True).T)


def halves(kind, seed):
    """Random groups as they come into service, their labels, and a reference of other groups.

    The reference lacks the last class; its margin holds for all points together.
    """
    members, mask, labels, weights = random_groups(kind, seed)
    points = torch.cat(members_of(members, mask))
    of_points = labels.repeat_interleave(mask.sum(1))
    m_star = margin(points, of_points).m_star
    known = (torch.arange(30) >= 12) & (labels < 4)
    rows = known.repeat_interleave(mask.sum(1))
    found = Reference(points[rows], of_points[rows], m_star)
    return found, members[:12], mask[:12], labels[:12], weights[:12]


def naive(known, members, mask, weights, pair):
    """The largest of the classes' bounds, class by class and member by member."""
    one, other = ([i for i in range(4) if mask[group, i]] for group in pair)
    m, w = known.m_star.item(), weights.tolist()

    def delta(group, i, of):
        far = [
            math.dist(members[group, i].tolist(), point.tolist())
            for point, label in zip(known.embeddings, known.labels.tolist(), strict=True)
            if label != of
        ]
        return min(far)

    def spread(group, places):
        centre = sum(w[group][i] * members[group, i] for i in places)
        return sum(w[group][i] * float((members[group, i] - centre) @ (members[group, i] - centre))
                   for i in places)  # fmt: skip

    variances = spread(pair[0], one) + spread(pair[1], other)
    bounds = []
    for of in [None, *known.labels.unique().tolist()]:
        u = {(i, j): min(delta(pair[0], i, of), delta(pair[1], j, of))
             for i, j in itertools.product(one, other)}  # fmt: skip
        share = {(i, j): w[pair[0]][i] * w[pair[1]][j] for i, j in u}
        t4 = m + sum(share[at] * u[at] for at in u)
        squares = sum(share[at] * max(0.0, m + u[at]) ** 2 for at in u)
        bounds.append(min(t4, math.sqrt(max(0.0, squares - variances))))
    return max(0.0, *bounds)


@pytest.mark.parametrize("kind", KINDS)
def test_the_bound_is_the_largest_over_all_classes_the_pair_may_have(kind):
    known, members, mask, _, weights = halves(kind, seed=3)
    found = certificates(known, members, mask, weights, every_pair(5))
    for place, pair in enumerate(zip(found.first.tolist(), found.second.tolist(), strict=True)):
        expected = naive(known, members, mask, weights, pair)
        # The root of a difference of squares loses half of the digits.
        assert found.bound[place].item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_no_pair_of_one_class_is_certified_while_the_margin_holds(kind):
    checked = 0
    for seed in range(40):
        known, members, mask, labels, weights = halves(kind, seed)
        if not known.m_star.isfinite() or len(known.labels.unique()) < 2:
            continue
        found = certificates(known, members, mask, weights, every_pair(12))
        same = labels[found.first] == labels[found.second]
        assert not (found.certified_different & same).any()
        assert (found.bound >= found.distance - 1e-9 * (1 + found.bound))[same].all()
        checked += int(same.sum())
    assert checked > 300


def test_far_classes_are_told_apart_and_one_class_is_not():
    # Three points per class within 0.2 of each other, classes 10 apart.
    embeddings = float64([[0, 0], [0.2, 0], [10, 0], [10.2, 0], [0, 10], [0.2, 10]])
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    known = Reference(embeddings, labels, margin(embeddings, labels).m_star)
    groups = float64([[[0.1, 0], [0.1, 0.1]], [[10.1, 0], [10, 0.1]], [[0, 0.1], [0.1, 0.1]]])
    mask = torch.ones(3, 2, dtype=torch.bool)
    pairs = (torch.tensor([0, 0]), torch.tensor([1, 2]))
    found = certificates(known, groups, mask, mask.double(), pairs)
    assert found.certified_different.tolist() == [True, False]
    # Were the first pair of class 0, members of the second group would be 0.1 from a negative, and
    # the margin lets nothing be further than 0.1 - 9.6 from them.
    assert known.m_star.item() == pytest.approx(-9.6)
    assert found.bound[0] == 0
    # The other pair: all members are 9.9 from class 1, and each 0.05 from its group's mean.
    assert found.bound[1].item() == pytest.approx(math.sqrt(0.3**2 - 2 * 0.05**2), abs=1e-3)


def test_a_group_as_it_is_itself_differs_by_nothing():
    known, members, mask, _, weights = halves("overlapping", seed=0)
    same = torch.arange(12)
    found = certificates(known, members, mask, weights, (same, same))
    assert found.distance.tolist() == [0.0] * 12
    assert not found.certified_different.any()


def test_padded_places_change_nothing():
    known, members, mask, _, weights = halves("unit sphere", seed=1)
    pairs = every_pair(12)
    found = certificates(known, members, mask, weights, pairs)
    members = members.masked_fill(~mask[:, :, None], -7.0)
    torch.testing.assert_close(
        vars(certificates(known, members, mask, weights, pairs)), vars(found)
    )


def test_no_pairs_are_no_certificates():
    known, members, mask, _, weights = halves("overlapping", seed=0)
    none = torch.empty(0, dtype=torch.long)
    assert len(certificates(known, members, mask, weights, (none, none)).bound) == 0


def test_a_reference_takes_the_classes_in_turn():
    labels = torch.tensor([5, 5, 5, 5, 2, 7, 7])
    embeddings = torch.arange(7.0)[:, None]
    found = reference(embeddings, labels, -0.5, most=5)
    assert found.labels.tolist() == [5, 5, 2, 7, 7]
    assert found.embeddings[:, 0].tolist() == [0, 1, 4, 5, 6]
    assert found.m_star.item() == -0.5
    assert len(reference(embeddings, labels, -0.5).labels) == 7
