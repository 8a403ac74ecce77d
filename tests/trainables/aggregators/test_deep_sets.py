import pytest
import torch

from trainables import catalogue
from trainables.aggregators.deep_sets import DeepSetsAggregator

MASK = torch.tensor([[True] * 4, [True, False, True, False], [False, True, False, False]])


def aggregator(**options):
    return DeepSetsAggregator(5, **{"hidden": 7, **options}).double()


@torch.no_grad()
def through(layers, vector):
    for layer in list(layers)[::2]:  # a ReLU follows each
        vector = (layer.weight @ vector + layer.bias).clamp_min(0)
    return vector


@torch.no_grad()
def naive(aggregator, members):
    """Of one group, one member at a time."""
    features = sum(through(aggregator.before_mean, member) for member in members) / len(members)
    shift = aggregator.last.weight @ through(aggregator.after_mean, features)
    return sum(members) / len(members) + shift


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_it_follows_the_formula(depth):
    deep = aggregator(depth=depth)
    embeddings = 3 * torch.randn(3, 4, 5, dtype=torch.float64)
    expected = torch.stack(
        [naive(deep, group[real]) for group, real in zip(embeddings, MASK, strict=True)]
    )
    torch.testing.assert_close(deep(embeddings, MASK), expected, rtol=0, atol=1e-9)


def test_a_group_worked_by_hand():
    deep = DeepSetsAggregator(1, hidden=2)
    with torch.no_grad():
        deep.before_mean[0].weight.copy_(torch.tensor([[1.0], [-1.0]]))
        deep.after_mean[0].weight.copy_(torch.tensor([[2.0, 0.0], [0.0, 1.0]]))
        deep.last.weight.copy_(torch.tensor([[1.0, 10.0]]))
        deep.before_mean[0].bias.zero_()
        deep.after_mean[0].bias.copy_(torch.tensor([-1.0, 0.5]))
    # Positive and negative parts have the means 2 and 1; the layer makes 3 and 1.5 of them.
    found = deep(torch.tensor([[[4.0], [-2.0], [9.0]]]), torch.tensor([[True, True, False]]))
    assert found.tolist() == [[1 + 3 + 15]]


def test_twice_the_same_members_are_the_same_group():
    deep = aggregator()
    embeddings = torch.randn(2, 3, 5, dtype=torch.float64)
    once, twice = (
        deep(members, torch.ones(members.shape[:2], dtype=torch.bool))
        for members in (embeddings, torch.cat([embeddings, embeddings], 1))
    )
    torch.testing.assert_close(once, twice)


def test_it_starts_near_the_mean():
    deep = DeepSetsAggregator(64)
    members = torch.nn.functional.normalize(torch.randn(20, 4, 64), dim=2)
    mean = members.mean(1)
    shift = deep(members, torch.ones(20, 4, dtype=torch.bool)) - mean
    # What is the same for all groups does not matter to their distances.
    assert (shift - shift.mean(0)).norm() < 0.2 * (mean - mean.mean(0)).norm()


def test_it_leaves_the_hull_and_says_why():
    deep = aggregator()
    point = torch.ones(1, 1, 5, dtype=torch.float64)
    assert not torch.allclose(deep(point, torch.ones(1, 1, dtype=torch.bool)), point[:, 0])
    assert DeepSetsAggregator.outside_hull == "the layers after the mean may move it anywhere"


@pytest.mark.parametrize("name", ["hidden", "depth"])
@pytest.mark.parametrize(("value", "is_legal"), [(0, False), (1, True), (2.5, False)])
def test_sizes_are_at_least_1(name, value, is_legal):
    option = catalogue.options(DeepSetsAggregator)[name]
    assert (option.problem(value) is None) == is_legal
