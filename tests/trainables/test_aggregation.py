import torch
from torch import nn

from trainables import aggregation
from trainables.contracts import Aggregator, HullAggregator


class Lengths(HullAggregator):
    """Weighs members by their length; drops members while training."""

    def __init__(self, width):
        super().__init__(width)
        self.dropout = nn.Dropout(0.5)
        self.seen = []

    def weights(self, embeddings, mask):
        self.seen.append((embeddings.dtype, mask.all().item(), len(embeddings)))
        lengths = self.dropout(embeddings.norm(dim=-1))
        return lengths / lengths.sum(1, keepdim=True)


class Largest(Aggregator):
    outside_hull = "a largest feature can leave the convex hull"

    def forward(self, embeddings, mask):
        return embeddings.amax(1)


MEMBERS = torch.rand(10, 3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_the_aggregator_sees_float32_and_no_padding():
    aggregator = Lengths(4)
    aggregation.aggregated(aggregator, MEMBERS)
    assert aggregator.seen == [(torch.float32, True, 10)]


def test_the_aggregator_is_applied_in_evaluation_mode_and_goes_back():
    aggregator = Lengths(4).train()
    lengths = MEMBERS.norm(dim=-1, keepdim=True)
    expected = (lengths * MEMBERS).sum(1) / lengths.sum(1)
    found = aggregation.aggregated(aggregator, MEMBERS)
    torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=1e-6)
    assert aggregator.training
    assert aggregator.dropout.training


def test_chunks_change_nothing(monkeypatch):
    aggregator = Lengths(4)
    whole = aggregation.aggregated(aggregator, MEMBERS)
    monkeypatch.setattr(aggregation, "CHUNK", 30)
    torch.testing.assert_close(aggregation.aggregated(aggregator, MEMBERS), whole)
    assert {count for *_, count in aggregator.seen[1:]} == {2}


def test_hull_weights_sum_to_one_in_float64():
    weights = aggregation.hull_weights(Lengths(4), MEMBERS)
    torch.testing.assert_close(weights.sum(1), torch.ones(10).double(), rtol=0, atol=1e-15)


def test_outside_the_hull_there_are_no_weights():
    assert aggregation.hull_weights(Largest(4), MEMBERS) is None
