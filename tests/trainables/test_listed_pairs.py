import math

import pytest
import torch

from trainables import listed_pairs
from trainables.bounds import PairBounds
from trainables.listed_pairs import ListedPairs


def pairs_of(distance, t4):
    """Pairs (0, 1), (1, 2), ... with these distances and bounds."""
    distance, t4 = (torch.tensor(of, dtype=torch.float64) for of in (distance, t4))
    first, scalar = torch.arange(len(t4)), torch.ones((), dtype=torch.float64)
    return PairBounds(first, first + 1, distance, 3 * t4, 2 * t4, t4, -2 * scalar, scalar)


def split(found, *sizes):
    """The same pairs in chunks."""
    rows = [getattr(found, name).split(sizes) for name in ("first", "second", "distance")]
    bounds = [getattr(found, name).split(sizes) for name in ("t1", "t1_prime", "t4")]
    chunks = zip(*rows, *bounds, strict=True)
    return [PairBounds(*chunk, found.m_star, found.scale) for chunk in chunks]


def listed(chunks, seed=0):
    listing = ListedPairs(sum(len(chunk.first) for chunk in chunks), seed)
    for chunk in chunks:
        listing.add(chunk)
    return listing.listed()


def random_pairs(count=50):
    distance = torch.rand(count)
    return pairs_of(distance.tolist(), (distance + torch.rand(count)).tolist())


def test_few_pairs_are_all_listed_as_they_came():
    found = pairs_of([1.0, 2.0, 3.0], [4.0, 5.0, 6.0])
    everything = listed(split(found, 1, 2))
    for name, column in vars(found).items():
        assert getattr(everything, name).tolist() == column.tolist()


@pytest.mark.parametrize("seed", range(5))
def test_the_largest_gap_and_tightness_are_always_listed(seed, monkeypatch):
    monkeypatch.setattr(listed_pairs, "LISTED_PAIRS", 4)
    # Tightest is the pair of 9 below 10, widest that of 1 below 8; neither is at an end.
    found = pairs_of([2.0, 2.0, 9.0, 2.0, 1.0, 2.0, 2.0], [4.0, 4.0, 10.0, 4.0, 8.0, 4.0, 4.0])
    rows = listed(split(found, 3, 4), seed).first.tolist()
    assert {2, 4} <= set(rows)
    assert len(rows) == 4
    assert rows == sorted(set(rows))


@pytest.mark.parametrize("sizes", [(50,), (10, 40), (1,) * 50, (25, 0, 25)])
def test_chunks_change_nothing(sizes, monkeypatch):
    monkeypatch.setattr(listed_pairs, "LISTED_PAIRS", 7)
    found = random_pairs()
    whole = listed([found])
    assert len(whole.first) == 7
    parts = listed(split(found, *sizes))
    assert parts.first.tolist() == whole.first.tolist()
    assert parts.t4.tolist() == whole.t4.tolist()


def test_the_seed_decides_and_every_pair_may_be_chosen(monkeypatch):
    monkeypatch.setattr(listed_pairs, "LISTED_PAIRS", 10)
    found = random_pairs()
    choices = [listed([found], seed).first.tolist() for seed in range(60)]
    assert listed([found], 3).first.tolist() == choices[3]
    assert {row for rows in choices for row in rows} == set(range(50))


def test_of_equal_pairs_the_first_is_worst(monkeypatch):
    monkeypatch.setattr(listed_pairs, "LISTED_PAIRS", 1)
    found = pairs_of([1.0] * 9, [2.0] * 9)
    assert listed(split(found, 4, 5), 5).first.tolist() == [0]


def test_without_bounds_no_pair_is_worst(monkeypatch):
    monkeypatch.setattr(listed_pairs, "LISTED_PAIRS", 4)
    rows = listed([pairs_of([1.0] * 9, [math.nan] * 9)])
    assert len(rows.first) == 4
    assert rows.t4.isnan().all()
