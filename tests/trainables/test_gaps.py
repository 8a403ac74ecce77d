import itertools

import pytest
import torch

from tests.trainables.grouped_clouds import half_margin_share
from trainables import gaps
from trainables.bounds import BOUNDS, PairBounds, bounds
from trainables.contracts import Aggregator, HullAggregator
from trainables.loss_bounds import LOSS_BOUNDS, LossBounds, loss_bounds
from trainables.separation import separations
from trainables.tighter_bounds import (
    TIGHTER_BOUNDS,
    TighterBounds,
    hull_groups,
    tighter_bounds,
)
from trainables.witness import worst_pairs


class Mean(HullAggregator):
    def weights(self, embeddings, mask):
        return mask / mask.sum(1, keepdim=True)


class Largest(Aggregator):
    outside_hull = "a largest feature can leave the convex hull"

    def forward(self, embeddings, mask):
        return embeddings.amax(1)


LABELS = torch.tensor([2, 0, 1, 1, 0, 2, 1, 1, 0, 0])


def members(seed=0, groups=10, points=3):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(groups, points, 4, generator=generator)


def all_pairs(of):
    """Bounds of means, from the formulas of all pairs at once."""
    weights = torch.full(of.shape[:2], 1 / of.shape[1], dtype=torch.float64)
    mask = torch.ones(of.shape[:2], dtype=torch.bool)
    return bounds(of, mask, LABELS, weights, of.double().mean(1))


def test_means_are_over_all_pairs_of_one_class(monkeypatch):
    monkeypatch.setattr("trainables.listed_pairs.LISTED_PAIRS", 3)
    found, expected = gaps.gaps(members(), LABELS, Mean(4), 0), all_pairs(members())
    assert found.means["distance"] == pytest.approx(expected.distance.mean().item(), abs=1e-12)
    for name in BOUNDS:
        measured = {
            name: expected.bound(name),
            f"{name}_gap": expected.gap(name),
            f"{name}_relative_gap": expected.relative_gap(name),
            f"{name}_tightness": expected.tightness(name),
        }
        for key, values in measured.items():
            assert found.means[key] == pytest.approx(values.mean().item(), abs=1e-12)
    assert found.means["m_star"] == expected.m_star.item()
    assert found.means["scale"] == expected.scale.item()


def test_a_table_lists_the_pairs_with_their_class():
    found, expected = gaps.gaps(members(), LABELS, Mean(4), 0).pairs, all_pairs(members())
    columns = ["label", "first", "second", "distance", "t1", "t1_prime", "t4", "m_star", "scale"]
    assert found.column_names == columns
    assert found["label"].to_pylist() == [0] * 6 + [1] * 6 + [2]
    assert found["first"].to_pylist() == expected.first.tolist()
    assert found["second"].to_pylist() == expected.second.tolist()
    assert found["t4"].to_pylist() == pytest.approx(expected.t4.tolist(), abs=1e-12)
    assert set(found["scale"].to_pylist()) == {expected.scale.item()}


def test_long_tables_are_cut_to_a_choice_that_the_seed_decides(monkeypatch):
    whole = gaps.gaps(members(), LABELS, Mean(4), 0).pairs.to_pylist()
    monkeypatch.setattr("trainables.listed_pairs.LISTED_PAIRS", 5)
    listed = [gaps.gaps(members(), LABELS, Mean(4), seed).pairs.to_pylist() for seed in range(4)]
    assert [len(rows) for rows in listed] == [5] * 4
    assert all(row in whole for rows in listed for row in rows)
    assert len({str(rows) for rows in listed}) > 1
    assert gaps.gaps(members(), LABELS, Mean(4), 2).pairs.to_pylist() == listed[2]


def test_chunks_of_pairs_change_nothing(monkeypatch):
    whole = gaps.gaps(members(), LABELS, Mean(4), 0)
    one_by_one = gaps.same_class_pairs
    monkeypatch.setattr(gaps, "same_class_pairs", lambda labels: one_by_one(labels, 1))
    parts = gaps.gaps(members(), LABELS, Mean(4), 0)
    assert parts.means == pytest.approx(whole.means, abs=1e-12)
    assert parts.pairs.to_pylist() == whole.pairs.to_pylist()


def test_outside_the_hull_only_distances_are_measured():
    found = gaps.gaps(members(), LABELS, Largest(4), 0)
    assert set(found.means) == {"m_star", "scale", "distance"}
    assert found.violations == 0
    largest = members().amax(1)
    apart = [
        (largest[one] - largest[other]).norm()
        for one, other in itertools.combinations(range(10), 2)
        if LABELS[one] == LABELS[other]
    ]
    assert found.means["distance"] == pytest.approx(torch.stack(apart).mean().item(), abs=1e-6)
    assert torch.tensor(found.pairs["t4"].to_numpy()).isnan().all()


@pytest.mark.parametrize("spread", [0.0, 1e-4, 1.0, 1e4])
@pytest.mark.parametrize("points", [1, 2, 7])
def test_float32_embeddings_make_no_violation(spread, points):
    clouds = spread * members(1, points=points) + 100 * LABELS[:, None, None]
    found = gaps.gaps(clouds, LABELS, Mean(4), 0)
    assert found.violations == found.separation_violations == 0


def hull(clouds):
    """The groups of means, and the mask without padding."""
    mask = torch.ones(clouds.shape[:2], dtype=torch.bool)
    weights = torch.full(clouds.shape[:2], 1 / clouds.shape[1], dtype=torch.float64)
    return hull_groups(clouds, mask, LABELS, weights), mask


@pytest.mark.parametrize("spread", [0.001, 1.0])
def test_tighter_bounds_and_separation_are_measured_over_all_pairs(spread):
    clouds = (spread * members() + 100 * LABELS[:, None, None]).double()
    groups, mask = hull(clouds)
    pairs = (LABELS[:, None] == LABELS).triu(1).nonzero(as_tuple=True)
    expected, found = tighter_bounds(groups, pairs), gaps.gaps(clouds, LABELS, Mean(4), 0)
    for name in gaps.TIGHTER:
        assert found.means[name] == pytest.approx(expected.bound(name).mean().item(), rel=1e-6)
        tightness = expected.tightness(name).mean().item()
        assert found.means[f"{name}_tightness"] == pytest.approx(tightness, rel=1e-6)
        gap = expected.gap(name).mean().item()
        assert found.means[f"{name}_gap"] == pytest.approx(gap, rel=1e-6)
        assert found.means[f"{name}_relative_gap"] == pytest.approx(
            gap / expected.scale.item(), rel=1e-6
        )
    assert found.means["certified"] == half_margin_share(groups, LABELS) == 1
    [apart] = separations(groups.found, clouds, mask, LABELS, groups.weights)
    measured = {"between": apart.distance, "s1": apart.s1, "s2": apart.s2, "s3": apart.s3}
    for name, values in measured.items():
        assert found.means[name] == pytest.approx(values.mean().item(), rel=1e-6)


def test_every_bound_of_one_class_is_measured():
    measured = {*BOUNDS, *gaps.TIGHTER, *LOSS_BOUNDS}
    assert measured == {*BOUNDS, *TIGHTER_BOUNDS, *LOSS_BOUNDS}
    means = gaps.gaps(members(), LABELS, Mean(4), 0).means
    for name in measured:
        assert {name, f"{name}_gap", f"{name}_relative_gap", f"{name}_tightness"} <= set(means)


def test_bounds_from_losses_are_measured_over_the_listed_pairs(monkeypatch):
    monkeypatch.setattr("trainables.listed_pairs.LISTED_PAIRS", 4)
    clouds = members().double()
    found, (groups, _) = gaps.gaps(clouds, LABELS, Mean(4), 7), hull(clouds)
    listed = tuple(torch.tensor(found.pairs[name].to_pylist()) for name in ("first", "second"))
    expected = loss_bounds(groups, clouds, LABELS, listed, 7)
    for name in LOSS_BOUNDS:
        assert found.means[name] == pytest.approx(expected.bound(name).mean().item(), abs=1e-9)
        gap = expected.gap(name).mean().item()
        assert found.means[f"{name}_gap"] == pytest.approx(gap, abs=1e-9)
    assert found.means["m_99"] == pytest.approx(expected.threshold.item(), abs=1e-9)


def test_of_large_groups_fewer_pairs_are_measured_from_all_classes(monkeypatch):
    clouds = members().double()
    monkeypatch.setattr(gaps, "MEMBER_PAIRS", 5 * 3**2)
    found, (groups, _) = gaps.gaps(clouds, LABELS, Mean(4), 7), hull(clouds)
    assert len(found.pairs) == 13
    some = tuple(torch.tensor(found.pairs[n].to_pylist()[::3]) for n in ("first", "second"))
    expected = loss_bounds(groups, clouds, LABELS, some, 7)
    for name in LOSS_BOUNDS:
        assert found.means[name] == pytest.approx(expected.bound(name).mean().item(), abs=1e-9)


@pytest.mark.parametrize(
    ("kind", "bounds_of_it"), [(PairBounds, 3), (TighterBounds, 6), (LossBounds, 2)]
)
def test_violations_of_every_kind_of_bound_are_counted(kind, bounds_of_it, monkeypatch):
    assert gaps.gaps(members(), LABELS, Mean(4), 0).violations == 0
    monkeypatch.setattr(kind, "violated", lambda found, _: torch.ones_like(found.first).bool())
    assert gaps.gaps(members(), LABELS, Mean(4), 0).violations == 13 * bounds_of_it


def test_the_worst_pairs_are_listed_whatever_the_seed(monkeypatch):
    expected = all_pairs(members())
    worst = worst_pairs([expected], "t4")
    monkeypatch.setattr("trainables.listed_pairs.LISTED_PAIRS", 3)
    for seed in range(5):
        listed = gaps.gaps(members(), LABELS, Mean(4), seed).pairs.to_pylist()
        numbers = [(row["first"], row["second"]) for row in listed]
        assert {(pair.first, pair.second) for pair in worst} <= set(numbers)
        assert len(set(numbers)) == 3
