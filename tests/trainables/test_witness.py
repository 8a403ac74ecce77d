import math

import pytest
import torch

from tests.trainables.grouped_clouds import (
    KINDS,
    ORACLE,
    all_pairs,
    float64,
    random_groups,
    theorem,
    uniform,
)
from trainables import witness
from trainables.margin import margin
from trainables.tighter_bounds import hull_groups, tighter_bounds
from trainables.witness import worst_pairs, worst_rows, worst_triplet


@pytest.mark.parametrize("name", ORACLE)
def test_the_triplet_agrees_with_brute_force(name):
    expected = ORACLE[name]["outputs"]
    points = float64(ORACLE[name]["inputs"]["embeddings"])
    found = worst_triplet(points, torch.tensor(ORACLE[name]["inputs"]["labels"]))
    if expected["argmax_triplet"] is None:
        assert found is None
    else:
        assert list(found[:3]) == expected["argmax_triplet"]
        assert found.excess == pytest.approx(expected["m_star"], abs=1e-9)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tile", [2**20, 100])
def test_the_triplet_attains_the_margin(kind, tile, monkeypatch):
    monkeypatch.setattr(witness, "TILE", tile)
    members, mask, labels, _ = random_groups(kind, 0)
    points, labels = members[mask], labels[:, None].expand(mask.shape)[mask]
    anchor, positive, negative, excess = worst_triplet(points, labels)
    assert labels[anchor] == labels[positive] != labels[negative]
    assert anchor != positive
    rows = points.tolist()
    apart = math.dist(rows[anchor], rows[positive]) - math.dist(rows[anchor], rows[negative])
    assert excess == pytest.approx(apart, abs=1e-9)
    assert excess == pytest.approx(margin(points, labels).m_star.item(), abs=1e-9)


@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2]])
def test_without_triplets_there_is_no_witness(labels):
    assert worst_triplet(torch.rand(3, 2), torch.tensor(labels)) is None


def test_of_equal_triplets_the_first_is_named():
    points = torch.zeros(6, 2)
    found = worst_triplet(points, torch.tensor([1, 0, 1, 1, 0, 0]))
    assert tuple(found) == (0, 2, 1, 0.0)


@pytest.mark.parametrize("name", ["t4", "t6", "best"])
@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_the_worst_pairs_have_the_largest_gap_and_tightness(name, chunk):
    members, mask, labels, weights = random_groups("overlapping", 0, width=3)
    groups, (first, second) = hull_groups(members, mask, labels, weights), all_pairs(labels)
    whole = tighter_bounds(groups, (first, second))
    chunks = (
        tighter_bounds(groups, pair)
        for pair in zip(first.split(chunk), second.split(chunk), strict=True)
    )
    widest, tightest = worst_pairs(chunks, name)
    for pair, values in ((widest, whole.gap(name)), (tightest, whole.tightness(name))):
        place = int(values.argmax())
        assert (pair.first, pair.second) == (int(first[place]), int(second[place]))
        assert pair.distance == pytest.approx(whole.distance[place].item())
        assert pair.gap == pytest.approx(whole.gap(name)[place].item())


def test_the_theorem_has_witnesses_too():
    members, mask, labels, _ = random_groups("overlapping", 0, width=3)
    found = theorem(members, mask, labels, uniform(mask))
    widest, _ = worst_pairs([found], "t1")
    assert widest.gap == pytest.approx(found.gap("t1").max().item())


def test_pairs_without_bounds_have_no_witness():
    members, mask, labels, _ = random_groups("overlapping", 0, width=3)
    alone = theorem(members, mask, torch.zeros_like(labels), uniform(mask))
    assert worst_pairs([alone], "t4") is None
    assert worst_pairs([], "t4") is None


def test_a_pair_that_is_widest_and_tightest_is_named_once():
    members, mask, labels, weights = random_groups("overlapping", 0, width=3)
    groups, (first, second) = hull_groups(members, mask, labels, weights), all_pairs(labels)
    found = tighter_bounds(groups, (first, second))
    rows = worst_rows(found, "t4").tolist()
    assert set(rows) == {int(found.gap("t4").argmax()), int(found.tightness("t4").argmax())}
    assert worst_rows(tighter_bounds(groups, (first[:1], second[:1])), "t4").tolist() == [0]
    assert worst_rows(tighter_bounds(groups, (first[:0], second[:0])), "t4").tolist() == []
