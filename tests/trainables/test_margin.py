import itertools
import math

import pytest
import torch

from trainables import margin, tally


def brute_force_m_star(embeddings, labels):
    indices = range(len(labels))
    triplets = (
        (a, p, n)
        for a, p, n in itertools.product(indices, repeat=3)
        if a != p and labels[a] == labels[p] and labels[a] != labels[n]
    )
    points = embeddings.tolist()
    return max(
        (math.dist(points[a], points[p]) - math.dist(points[a], points[n]) for a, p, n in triplets),
        default=math.nan,
    )


def random_set(seed, points=24, classes=5, width=3, duplicates=True):
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(points, width, generator=generator, dtype=torch.float64)
    labels = torch.randint(classes, (points,), generator=generator)
    if duplicates:
        embeddings[points // 2 :: 3] = embeddings[: len(embeddings[points // 2 :: 3])]
    return 10 * embeddings + 100, labels


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("duplicates", [False, True])
def test_m_star_is_the_maximum_over_all_triplets(seed, duplicates):
    embeddings, labels = random_set(seed, duplicates=duplicates)
    found = margin.margin(embeddings, labels)
    assert found.m_star.item() == pytest.approx(brute_force_m_star(embeddings, labels), abs=1e-9)


@pytest.mark.parametrize("labels", [[0, 0, 0, 0], [0, 1, 2, 3]])
def test_without_triplets_m_star_is_nan(labels):
    found = margin.margin(torch.arange(8.0).view(4, 2), torch.tensor(labels))
    assert found.m_star.isnan()


def test_a_point_alone_in_its_class_is_a_negative_but_no_anchor():
    embeddings = torch.tensor([[0.0], [1.0], [1.5]])
    found = margin.margin(embeddings, torch.tensor([4, 4, 2]))
    # Anchors 0 and 1: 1 - 1.5 and 1 - 0.5; the lone point would give 0 - 0.5.
    assert found.m_star.item() == 0.5
    lone = margin.margin(embeddings[[0, 1, 1]], torch.tensor([4, 4, 2]))
    assert lone.m_star.item() == 1.0


def test_delta_is_the_distance_to_the_nearest_point_of_another_class():
    embeddings, labels = random_set(0)
    apart = torch.cdist(embeddings, embeddings, compute_mode="donot_use_mm_for_euclid_dist")
    expected = apart.masked_fill(labels[:, None] == labels, torch.inf).amin(1)
    torch.testing.assert_close(margin.margin(embeddings, labels).delta, expected)


def test_scale_is_the_mean_distance_of_points_of_different_classes():
    embeddings, labels = random_set(1)
    apart = torch.cdist(embeddings, embeddings, compute_mode="donot_use_mm_for_euclid_dist")
    expected = apart[labels[:, None] != labels].mean()
    torch.testing.assert_close(margin.margin(embeddings, labels).scale, expected)


def test_without_other_classes_delta_is_infinite_and_scale_is_nan():
    found = margin.margin(torch.ones(3, 2), torch.zeros(3, dtype=torch.int64))
    assert found.delta.isinf().all()
    assert found.scale.isnan()


def random_groups(seed, groups=12, points=4, width=3, classes=3):
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(groups, points, width, generator=generator, dtype=torch.float64)
    mask = torch.rand(groups, points, generator=generator) < 0.6
    mask[torch.arange(groups), torch.randint(points, (groups,), generator=generator)] = True
    labels = torch.randint(classes, (groups,), generator=generator)
    return embeddings.masked_fill(~mask[:, :, None], 1e6), mask, labels


@pytest.mark.parametrize("seed", range(5))
def test_grouping_changes_neither_margin_nor_delta_nor_scale(seed):
    embeddings, mask, labels = random_groups(seed)
    alone = margin.margin(embeddings[mask], labels[:, None].expand(mask.shape)[mask])
    grouped = margin.group_margin(embeddings, mask, labels)
    torch.testing.assert_close(grouped.m_star, alone.m_star)
    torch.testing.assert_close(grouped.delta[mask], alone.delta)
    torch.testing.assert_close(grouped.scale, alone.scale)


@pytest.mark.parametrize("seed", range(5))
def test_reach_takes_the_group_of_another_class_whose_furthest_point_is_nearest(seed):
    embeddings, mask, labels = random_groups(seed)
    members = [group[real].tolist() for group, real in zip(embeddings, mask, strict=True)]
    expected = [
        min(
            max(math.dist(s, t) for s in members[own] for t in members[other])
            for other in range(len(members))
            if labels[own] != labels[other]
        )
        for own in range(len(members))
    ]
    found = margin.group_margin(embeddings, mask, labels)
    assert found.reach.tolist() == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(5))
def test_point_reach_takes_the_point_of_another_class_whose_furthest_point_is_nearest(seed):
    embeddings, mask, labels = random_groups(seed)
    members = [group[real].tolist() for group, real in zip(embeddings, mask, strict=True)]
    expected = [
        min(
            max(math.dist(s, n) for s in members[own])
            for other in range(len(members))
            if labels[own] != labels[other]
            for n in members[other]
        )
        for own in range(len(members))
    ]
    found = margin.group_margin(embeddings, mask, labels)
    assert found.point_reach.tolist() == pytest.approx(expected)
    assert (found.point_reach <= found.reach).all()


def test_the_reach_of_a_single_point_is_its_distance_to_other_classes():
    embeddings, labels = random_set(4)
    found = margin.group_margin(embeddings[:, None], torch.ones(24, 1).bool(), labels)
    assert found.point_reach.tolist() == found.reach.tolist() == found.delta[:, 0].tolist()


def test_the_size_of_a_tile_changes_nothing(monkeypatch):
    embeddings, mask, labels = random_groups(3, groups=40)
    whole = margin.group_margin(embeddings, mask, labels)
    assert whole.point_reach.isfinite().all()
    assert tally.SIDE > 160
    monkeypatch.setattr(tally, "SIDE", 28)
    tiled = margin.group_margin(embeddings, mask, labels)
    torch.testing.assert_close(tiled._replace(scale=whole.scale), whole, rtol=1e-14, atol=0)
    torch.testing.assert_close(tiled.scale, whole.scale, rtol=1e-6, atol=0)


def test_a_tile_with_many_close_points_is_measured_by_differences():
    embeddings, labels = random_set(6, points=600)
    embeddings = 100 + 1e-7 * (embeddings - 100)
    embeddings[0] += 1.0
    apart = torch.cdist(embeddings, embeddings, compute_mode="donot_use_mm_for_euclid_dist")
    nearest = apart.masked_fill(labels[:, None] == labels, torch.inf).amin(1)
    torch.testing.assert_close(margin.margin(embeddings, labels).delta, nearest, rtol=1e-9, atol=0)


def test_gradients_of_the_embeddings_do_not_disturb():
    embeddings = torch.randn(4, 2, requires_grad=True)
    assert not margin.margin(embeddings, torch.tensor([0, 0, 1, 1])).m_star.requires_grad


def test_far_from_the_origin_no_digits_are_lost():
    embeddings, labels = random_set(2, duplicates=False)
    near, far = margin.margin(embeddings, labels), margin.margin(embeddings + 2.0**20, labels)
    torch.testing.assert_close(near.m_star, far.m_star, rtol=0, atol=1e-9)
