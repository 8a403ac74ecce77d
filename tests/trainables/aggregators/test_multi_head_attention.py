import math

import pytest
import torch

from trainables import catalogue
from trainables.aggregators.multi_head_attention import MultiHeadAttentionAggregator


@torch.no_grad()
def naive(aggregator, members):
    """Weights of one group, head by head and member by member."""
    heads, hidden = aggregator.queries.shape
    total = torch.zeros(len(members))
    for head in range(heads):
        matrix = aggregator.keys.weight[head * hidden : (head + 1) * hidden]
        query = aggregator.queries[head]
        scores = [(query @ (matrix @ member)) / math.sqrt(hidden) for member in members]
        exponentials = torch.stack([score.exp() for score in scores])
        total += exponentials / exponentials.sum()
    return total / heads


def test_weights_worked_by_hand():
    aggregator = MultiHeadAttentionAggregator(1, heads=2, hidden=4)
    with torch.no_grad():
        aggregator.keys.weight.fill_(1)
        aggregator.queries.copy_(torch.tensor([[1.0] * 4, [0.0] * 4]))
    # The first head scores a member 4 e / 2, the second takes the mean.
    embeddings = torch.tensor([[[0.0], [0.5], [7.0]]])
    weights = aggregator.weights(embeddings, torch.tensor([[True, True, False]]))
    heavier = (math.e / (1 + math.e) + 0.5) / 2
    torch.testing.assert_close(weights, torch.tensor([[1 - heavier, heavier, 0.0]]))


def test_weights_follow_the_formula():
    aggregator = MultiHeadAttentionAggregator(4, heads=3, hidden=6)
    embeddings = 3 * torch.randn(3, 5, 4)
    mask = torch.tensor([[True] * 5, [True, False, True, True, False], [False, True] + [False] * 3])
    weights = aggregator.weights(embeddings, mask)
    for group in range(3):
        expected = naive(aggregator, embeddings[group, mask[group]])
        torch.testing.assert_close(weights[group, mask[group]], expected)


def test_the_result_is_the_mean_of_the_weighted_means_of_the_heads():
    aggregator = MultiHeadAttentionAggregator(4, heads=2, hidden=3)
    embeddings, mask = torch.randn(2, 5, 4), torch.ones(2, 5, dtype=torch.bool)
    of_heads = []
    for head in range(2):
        alone = MultiHeadAttentionAggregator(4, heads=1, hidden=3)
        with torch.no_grad():
            alone.queries.copy_(aggregator.queries[head, None])
            alone.keys.weight.copy_(aggregator.keys.weight[3 * head : 3 * head + 3])
        of_heads.append(alone(embeddings, mask))
    torch.testing.assert_close(aggregator(embeddings, mask), torch.stack(of_heads).mean(0))


def test_a_group_of_one_point_is_that_point():
    embeddings = torch.randn(2, 3, 4)
    mask = torch.tensor([[True, False, False], [False, False, True]])
    found = MultiHeadAttentionAggregator(4)(embeddings, mask)
    torch.testing.assert_close(found, embeddings[mask], rtol=0, atol=0)


def test_every_float_of_every_parameter_has_a_gradient():
    aggregator = MultiHeadAttentionAggregator(4, heads=3, hidden=5)
    assert dict(aggregator.named_parameters()).keys() == {"queries", "keys.weight"}
    result = aggregator(torch.randn(2, 3, 4), torch.ones(2, 3, dtype=torch.bool))
    result.square().sum().backward()
    for parameter in aggregator.parameters():
        assert (parameter.grad != 0).all()


def test_gradients_are_those_of_finite_differences():
    aggregator = MultiHeadAttentionAggregator(3, heads=2, hidden=4).double()
    embeddings = torch.randn(2, 3, 3, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, False], [True, True, True]])
    assert torch.autograd.gradcheck(aggregator, (embeddings, mask))


@pytest.mark.parametrize("option", ["heads", "hidden"])
@pytest.mark.parametrize(("value", "is_legal"), [(0, False), (1, True), (2.5, False)])
def test_heads_and_their_floats_are_at_least_1(option, value, is_legal):
    checked = catalogue.options(MultiHeadAttentionAggregator)[option]
    assert (checked.problem(value) is None) == is_legal


@pytest.mark.parametrize(("heads", "hidden"), [(1, 7), (3, 2)])
def test_every_head_has_a_query_and_keys_of_hidden_floats(heads, hidden):
    aggregator = MultiHeadAttentionAggregator(4, heads=heads, hidden=hidden)
    assert aggregator.queries.shape == (heads, hidden)
    assert aggregator.keys.weight.shape == (heads * hidden, 4)
