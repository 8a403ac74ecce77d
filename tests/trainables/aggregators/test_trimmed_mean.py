import math

import pytest
import torch

from trainables import catalogue
from trainables.aggregators.trimmed_mean import TrimmedMeanAggregator

TRIMS = [0.0, 0.1, 0.25, 0.3, 0.5, 0.7, 0.99]


def naive(members, kept):
    """Mean of the members nearest to the mean of all, one after the other."""
    mean = [sum(feature) / len(members) for feature in zip(*members, strict=True)]
    nearest = sorted(members, key=lambda member: math.dist(member, mean))[:kept]
    return [sum(feature) / kept for feature in zip(*nearest, strict=True)]


def test_the_trimmed_mean_worked_by_hand():
    # The mean is 3, and 10 is furthest from it.
    embeddings = torch.tensor([[[0.0], [1.0], [10.0], [1.0], [999.0]]])
    mask = torch.tensor([[True, True, True, True, False]])
    aggregator = TrimmedMeanAggregator(1, trim=0.25)
    torch.testing.assert_close(aggregator(embeddings, mask), torch.tensor([[2 / 3]]))
    third = 1 / 3
    expected = torch.tensor([[third, third, 0.0, third, 0.0]])
    torch.testing.assert_close(aggregator.weights(embeddings, mask), expected)


@pytest.mark.parametrize("trim", TRIMS)
def test_it_follows_the_formula(trim):
    embeddings = torch.randn(12, 12, 3, dtype=torch.float64)
    # Groups of 3 to 12: two members are equally far from their mean.
    mask = torch.arange(12) < torch.arange(1, 13).clamp_min(3)[:, None]
    found = TrimmedMeanAggregator(3, trim=trim)(embeddings, mask)
    for group in range(12):
        size = int(mask[group].sum())
        kept = max(1, math.ceil(round((1 - trim) * size, 9)))
        expected = naive(embeddings[group, mask[group]].tolist(), kept)
        torch.testing.assert_close(found[group].tolist(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("trim", "size", "kept"),
    [
        (0.0, 7, 7),
        (0.1, 10, 9),
        (0.3, 10, 7),
        (0.7, 10, 3),
        (0.25, 5, 4),
        (0.5, 3, 2),
        (0.9, 3, 1),
        (0.999999, 3, 1),
        (0.29, 100, 71),
    ],
)
def test_the_number_kept_is_rounded_up(trim, size, kept):
    weights = TrimmedMeanAggregator(4, trim=trim).weights(
        torch.randn(1, size, 4), torch.ones(1, size, dtype=torch.bool)
    )
    expected = torch.tensor([0.0] * (size - kept) + [1 / kept] * kept)
    torch.testing.assert_close(weights[0].sort().values, expected)


def test_members_equally_far_from_the_mean_share_the_places_left():
    # 0 is the mean: two of the four others stay beside it.
    embeddings = torch.tensor([[[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]])
    aggregator = TrimmedMeanAggregator(2, trim=0.4)
    weights = aggregator.weights(embeddings, torch.ones(1, 5, dtype=torch.bool))
    torch.testing.assert_close(weights, torch.tensor([[2.0, 1.0, 1.0, 1.0, 1.0]]) / 6)


@pytest.mark.parametrize("trim", [0.25, 0.5, 0.75])
def test_rounding_does_not_tell_members_equally_far_apart(trim):
    square = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    turns = torch.linalg.qr(torch.randn(50, 2, 2)).Q
    weights = TrimmedMeanAggregator(2, trim=trim).weights(
        square @ turns + torch.randn(50, 1, 2), torch.ones(50, 4, dtype=torch.bool)
    )
    torch.testing.assert_close(weights, torch.full((50, 4), 0.25))


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_two_members_give_their_mean_in_either_order(scale):
    embeddings = scale * torch.randn(50, 2, 7)
    aggregator, mask = TrimmedMeanAggregator(7, trim=0.5), torch.ones(50, 2, dtype=torch.bool)
    found = aggregator(embeddings, mask)
    torch.testing.assert_close(found, embeddings.mean(1))
    torch.testing.assert_close(aggregator(embeddings.flip(1), mask), found)


def test_a_group_of_one_point_is_that_point():
    embeddings = torch.randn(2, 3, 4)
    mask = torch.tensor([[True, False, False], [False, False, True]])
    found = TrimmedMeanAggregator(4, trim=0.99)(embeddings, mask)
    torch.testing.assert_close(found, embeddings[mask], rtol=0, atol=0)


def test_the_members_kept_share_the_gradient():
    embeddings = torch.tensor([[[0.0], [1.0], [10.0], [1.5]]], requires_grad=True)
    mask = torch.ones(1, 4, dtype=torch.bool)
    TrimmedMeanAggregator(1, trim=0.5)(embeddings, mask).sum().backward()
    assert embeddings.grad.flatten().tolist() == [0.0, 0.5, 0.0, 0.5]


@pytest.mark.parametrize(("trim", "is_legal"), [(-0.1, False), (0.0, True), (1.0, False)])
def test_the_share_has_a_range(trim, is_legal):
    option = catalogue.options(TrimmedMeanAggregator)["trim"]
    assert (option.problem(trim) is None) == is_legal
