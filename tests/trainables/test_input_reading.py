import math
from itertools import combinations
from statistics import fmean

import pytest
import torch

from tests.trainables.grouped_clouds import float64
from trainables import input_reading as input_reading_module
from trainables.aggregators.attention import AttentionAggregator
from trainables.aggregators.mean import MeanAggregator
from trainables.gaps import gaps
from trainables.grouping import Groups, draw_groups
from trainables.input_reading import InputSpace, input_reading


@torch.no_grad()
def read(points, encoded, groups, lipschitz, aggregator=None):
    """The reading of groups of points with their embeddings."""
    aggregator = aggregator or MeanAggregator(encoded.shape[1])
    members = encoded[groups.members]
    found = gaps(members, groups.labels, aggregator, seed=0)
    inputs = InputSpace(points, lipschitz)
    return input_reading(inputs, groups, members, aggregator, found), found


def drawn(size, stretch=3.0, classes=4, each=12):
    """Random points, their images under a random map of a known constant, and groups of them."""
    generator = torch.Generator().manual_seed(size)
    labels = torch.arange(classes).repeat_interleave(each)
    points = torch.randn(len(labels), 2, 3, generator=generator).double()
    points += 0.8 * labels[:, None, None]
    matrix = torch.randn(4, 6, generator=generator).double()
    encoded = points.flatten(1) @ matrix.T * (stretch / torch.linalg.matrix_norm(matrix, ord=2))
    return points, encoded, draw_groups(labels, None, size, generator)


def alone(points, labels):
    """Every point a group."""
    return Groups(torch.arange(len(points))[:, None], torch.tensor(labels), 0)


def test_ten_times_a_point_breaks_the_bound_without_the_constant_and_not_with_it():
    points = float64([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 3.0]])
    groups = alone(points, [0, 0, 1, 2])
    without, _ = read(points, 10 * points, groups, 1.0)
    reading, found = read(points, 10 * points, groups, 10.0)
    # The two points of class 0 are 10 apart; m* = 10 - 10 and D = 1, both from (0, 0).
    assert found.means["distance"] == pytest.approx(10)
    assert without.violations == 2
    assert without.means["input_t1_prime"] == pytest.approx(1)
    assert reading.violations == 0
    assert reading.means["input_t1_prime"] == pytest.approx(10)
    assert reading.means["input_t1_prime_gap"] == pytest.approx(0, abs=1e-9)
    assert reading.means["input_t1_prime_tightness"] == pytest.approx(1)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_it_is_the_formula_pair_by_pair(size):
    points, encoded, groups = drawn(size)
    reading, found = read(points, encoded, groups, 3.0)
    flat, labels = points.flatten(1), groups.labels.tolist()

    def d(a, b):
        return math.dist(flat[a].tolist(), flat[b].tolist())

    members = groups.members.tolist()
    others = [[h for h in range(len(labels)) if labels[h] != labels[g]] for g in range(len(labels))]
    delta = [
        [min(d(a, n) for h in others[g] for n in members[h]) for a in members[g]]
        for g in range(len(labels))
    ]
    reach = [
        min(max(d(a, n) for a in members[g] for n in members[h]) for h in others[g])
        for g in range(len(labels))
    ]
    pairs = [p for p in combinations(range(len(labels)), 2) if labels[p[0]] == labels[p[1]]]
    m_star, scale = found.means["m_star"], found.means["scale"]
    t1_prime = fmean(m_star + 3.0 * min(reach[g], reach[h]) for g, h in pairs)
    t4 = fmean(
        m_star + 3.0 * fmean(min(one, other) for one in delta[g] for other in delta[h])
        for g, h in pairs
    )
    for name, bound in (("input_t1_prime", t1_prime), ("input_t4", t4)):
        assert reading.means[name] == pytest.approx(bound, abs=1e-9)
        gap = bound - found.means["distance"]
        assert reading.means[f"{name}_gap"] == pytest.approx(gap, abs=1e-9)
        assert reading.means[f"{name}_relative_gap"] == pytest.approx(gap / scale, abs=1e-9)


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("learned", [False, True])
def test_it_holds_and_is_never_below_the_bound_of_the_embeddings(size, learned):
    points, encoded, groups = drawn(size)
    aggregator = AttentionAggregator(4) if learned else MeanAggregator(4)
    reading, found = read(points, encoded, groups, 3.0, aggregator)
    assert reading.violations == 0
    for name in ("t1_prime", "t4"):
        assert reading.means[f"input_{name}"] >= found.means[name]
        assert 0 < reading.means[f"input_{name}_tightness"] <= 1


def test_a_larger_constant_allows_more():
    points, encoded, groups = drawn(2)
    three, six = (read(points, encoded, groups, constant)[0].means for constant in (3.0, 6.0))
    m_star = read(points, encoded, groups, 3.0)[1].means["m_star"]
    for name in ("input_t1_prime", "input_t4"):
        assert six[name] - m_star == pytest.approx(2 * (three[name] - m_star))


def test_of_points_that_are_the_embeddings_it_is_the_bound_itself():
    points, _, groups = drawn(3)
    embeddings = points.flatten(1)
    reading, found = read(points, embeddings, groups, 1.0)
    for name in ("t1_prime", "t4"):
        for suffix in ("", "_gap", "_relative_gap", "_tightness"):
            value = reading.means[f"input_{name}{suffix}"]
            assert value == pytest.approx(found.means[f"{name}{suffix}"], abs=1e-9)


def test_the_rounding_of_an_encoder_is_no_violation(monkeypatch):
    # On a line the bound is met exactly, and far from 0 little is left of an embedding's digits.
    points = torch.tensor([[0.0885], [0.4963], [0.7682]])
    case = points, 1000 + points / 3, alone(points, [0, 0, 1]), 1 / 3
    assert read(*case)[0].violations == 0
    monkeypatch.setattr(input_reading_module, "ROUNDING", 0.0)
    assert read(*case)[0].violations > 0
