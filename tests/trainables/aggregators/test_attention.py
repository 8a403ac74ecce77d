import math

import pytest
import torch

from trainables import catalogue
from trainables.aggregators.attention import AttentionAggregator


@torch.no_grad()
def naive(aggregator, members):
    """Weights of one group after eq. 9, one member at a time."""
    content, gate, score = aggregator.content, aggregator.gate, aggregator.score.weight[0]
    exponentials = []
    for member in members:
        tanh = (content.weight @ member + content.bias).tanh()
        sigmoid = 1 / (1 + (-gate.weight @ member - gate.bias).exp())
        exponentials.append((score @ (tanh * sigmoid)).exp())
    return torch.stack(exponentials) / sum(exponentials)


def test_weights_worked_by_hand():
    aggregator = AttentionAggregator(1, hidden=1)
    with torch.no_grad():
        aggregator.content.weight.fill_(1)
        aggregator.gate.weight.fill_(0)
        for bias in (aggregator.content.bias, aggregator.gate.bias):
            bias.zero_()
        aggregator.score.weight.fill_(2)
    # The gate is half open, so a member scores tanh(e): 0 and atanh(0.5) score 0 and 0.5.
    embeddings = torch.tensor([[[0.0], [math.atanh(0.5)], [7.0]]])
    weights = aggregator.weights(embeddings, torch.tensor([[True, True, False]]))
    lighter = 1 / (1 + math.exp(0.5))
    torch.testing.assert_close(weights, torch.tensor([[lighter, 1 - lighter, 0.0]]))


def test_weights_follow_the_formula():
    aggregator = AttentionAggregator(4, hidden=6)
    embeddings = 3 * torch.randn(3, 5, 4)
    mask = torch.tensor([[True] * 5, [True, False, True, True, False], [False, True] + [False] * 3])
    weights = aggregator.weights(embeddings, mask)
    for group in range(3):
        expected = naive(aggregator, embeddings[group, mask[group]])
        torch.testing.assert_close(weights[group, mask[group]], expected)


def test_a_group_of_one_point_is_that_point():
    embeddings = torch.randn(2, 3, 4)
    mask = torch.tensor([[True, False, False], [False, False, True]])
    found = AttentionAggregator(4)(embeddings, mask)
    torch.testing.assert_close(found, embeddings[mask], rtol=0, atol=0)


@pytest.mark.parametrize("hidden", [1, 5])
def test_members_are_scored_in_a_space_of_hidden_floats(hidden):
    aggregator = AttentionAggregator(4, hidden=hidden)
    assert aggregator.content.weight.shape == aggregator.gate.weight.shape == (hidden, 4)
    assert [name for name, _ in aggregator.score.named_parameters()] == ["weight"]


@pytest.mark.parametrize(("hidden", "is_legal"), [(0, False), (1, True), (2.5, False)])
def test_hidden_is_at_least_1(hidden, is_legal):
    option = catalogue.options(AttentionAggregator)["hidden"]
    assert (option.problem(hidden) is None) == is_legal
