"""No bound fails on 50,000 pairs of groups of one class, and outside the hull they do fail."""

import itertools
import math

import pytest
import torch
from torch.nn.functional import normalize

from tests.trainables.grouped_clouds import all_pairs, theorem, uniform
from trainables.bounds import BOUNDS, pair_bounds
from trainables.hinge_bounds import normalised_bound
from trainables.loss_bounds import LOSS_BOUNDS, loss_bounds
from trainables.separation import SEPARATION_BOUNDS, separations
from trainables.tighter_bounds import TIGHTER_BOUNDS, hull_groups, tightened, variance

PAIRS = 50_000
GROUPS, CLASSES, POINTS = 48, 3, 4
WIDTHS = (1, 2, 3, 8, 64, 512)
KINDS = ("overlapping", "margin", "duplicates", "singletons", "unit sphere", "uneven")
DRAWS = 4
"""Of each kind and width: 4 x 360 pairs, 51,840 in all."""


def points_of(kind, width, labels, generator):
    """Clouds around class centres, one for each kind."""

    def normal(*shape):
        return torch.randn(*shape, width, generator=generator, dtype=torch.float64)

    centres, noise = normal(CLASSES)[labels][:, None], normal(GROUPS, POINTS)
    if kind == "margin":
        # Clouds of diameter 1 whose centres are at least 10 apart: m* is negative in any width.
        return 10 * labels[:, None, None] + normalize(noise, dim=2) / 2
    if kind == "duplicates":
        # Few places: points coincide within groups, within classes and across them.
        pool = normal(6)
        return pool[torch.randint(6, (GROUPS, POINTS), generator=generator)]
    if kind == "unit sphere":
        return normalize(2 * centres + noise, dim=2)
    if kind == "uneven":
        # Spreads of groups over four orders of magnitude, far from the origin.
        return 100 + centres + noise * 10 ** (2 - 4 * torch.rand(GROUPS, 1, 1, generator=generator))
    return centres + noise


def drawn(kind, width, seed):
    """Members, mask, labels, and the weights of a mean and of any other point of the hull."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(GROUPS) % CLASSES
    members = points_of(kind, width, labels, generator)
    mask = torch.rand(GROUPS, POINTS, generator=generator) < 0.7
    mask[:, 0] = True
    if kind == "singletons":
        mask[:, 1:] = False
    members[~mask] = 1e3
    weights = torch.rand(GROUPS, POINTS, generator=generator, dtype=torch.float64) ** 4 * mask
    return members, mask, labels, (uniform(mask), weights / weights.sum(1, keepdim=True))


def families(groups, members, labels):
    """Names of bounds on groups of one class, and what found them, for all pairs."""
    pairs = all_pairs(labels)
    looser = pair_bounds(groups.found, pairs, groups.weights, groups.embeddings)
    return {
        BOUNDS: looser,
        TIGHTER_BOUNDS: tightened(groups, looser),
        LOSS_BOUNDS: loss_bounds(groups, members, labels, pairs, 0),
    }


def check_one_class(groups, members, labels):
    """Every bound is above the distance of groups of one class; counts the pairs."""
    for names, found in families(groups, members, labels).items():
        for name in names:
            assert found.bound(name).isfinite().all(), name
            assert not found.violated(name).any(), name
    return len(found.distance)


def check_normalised(groups, labels):
    """The corrected bound is above the distance of normalised groups of one class."""
    one, other = (groups.embeddings[of] for of in all_pairs(labels))
    t4 = pair_bounds(groups.found, all_pairs(labels), groups.weights, groups.embeddings).t4
    apart = (normalize(one, dim=1) - normalize(other, dim=1)).norm(dim=1)
    corrected = normalised_bound(t4, one, other)
    assert (apart <= corrected + 1e-9 * (1 + corrected)).all()


def check_different_classes(groups, members, mask, labels):
    """Every bound is below the distance of groups of different classes; counts the pairs."""
    count = 0
    for found in separations(groups.found, members, mask, labels, groups.weights):
        count += len(found.first)
        for name in SEPARATION_BOUNDS:
            assert found.bound(name).isfinite().all(), name
            assert not found.violated(name).any(), name
    return count


@pytest.mark.parametrize("kind", KINDS)
def test_no_bound_is_violated(kind):
    same = different = 0
    for width, seed in itertools.product(WIDTHS, range(DRAWS)):
        members, mask, labels, (mean, uneven) = drawn(kind, width, seed)
        groups = hull_groups(members, mask, labels, mean)
        same += check_one_class(groups, members, labels)
        check_normalised(groups, labels)
        groups = weighted(groups, members, uneven)
        check_one_class(groups, members, labels)
        different += check_different_classes(groups, members, mask, labels)
        assert (groups.found.m_star < 0) or kind != "margin"
    # Pairs of means; the other weights would double them.
    assert same >= PAIRS / len(KINDS)
    assert different >= same


def weighted(groups, members, weights):
    """The same groups with other weights: the margin needs no second look."""
    embeddings = torch.einsum("gp,gpw->gw", weights, members)
    spread = variance(members, weights, embeddings)
    return groups._replace(weights=weights, embeddings=embeddings, variance=spread)


def test_bounds_on_groups_of_one_point_are_attained():
    # The two points and the negative behind m* leave no room; T1 doubles the larger of m* and D.
    members, mask, labels, (mean, _) = drawn("singletons", 3, 0)
    groups = hull_groups(members, mask, labels, mean)
    for names, found in families(groups, members, labels).items():
        for name in set(names) - {"t1"}:
            assert found.tightness(name).max().item() == pytest.approx(1, abs=1e-9), name


def test_the_largest_feature_of_many_members_exceeds_even_twice_the_reach():
    # Twelve unit vectors and the origin, with the centroid of the vectors as the only negative.
    vectors, mask = torch.eye(12, dtype=torch.float64), torch.ones(3, 12, dtype=torch.bool)
    members = torch.stack([vectors, 0 * vectors, torch.full_like(vectors, 1 / 12)])
    found = theorem(members, mask, torch.tensor([0, 0, 1]), uniform(mask))
    reach = math.sqrt(11 / 12)
    # D is the smaller one of the two groups, so that T1 is even below what the larger one allows.
    assert found.m_star.item() == pytest.approx(1 - math.sqrt(1 / 12))
    assert found.t1.item() <= 2 * reach < 1.92
    largest = members.amax(1)
    distance = (largest[0] - largest[1]).norm().item()
    assert distance == pytest.approx(math.sqrt(12))
    assert distance > 2 * reach
