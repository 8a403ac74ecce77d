import torch

from trainables.aggregators.mean import MeanAggregator


def test_the_mean_worked_by_hand():
    embeddings = torch.tensor([[[1.0, 2.0], [3.0, 6.0], [99.0, 99.0]]])
    mask = torch.tensor([[True, True, False]])
    assert MeanAggregator(2)(embeddings, mask).tolist() == [[2.0, 4.0]]


def test_members_weigh_the_same():
    mask = torch.tensor([[True, False, True, True], [False, True, False, False]])
    weights = MeanAggregator(3).weights(torch.randn(2, 4, 3), mask)
    torch.testing.assert_close(weights, torch.tensor([[1 / 3, 0, 1 / 3, 1 / 3], [0, 1, 0, 0]]))


def test_members_share_the_gradient():
    embeddings = torch.randn(1, 3, 2, requires_grad=True)
    MeanAggregator(2)(embeddings, torch.tensor([[True, True, False]])).sum().backward()
    assert embeddings.grad.tolist() == [[[0.5, 0.5], [0.5, 0.5], [0.0, 0.0]]]


def test_the_theorem_covers_it():
    assert MeanAggregator.outside_hull is None
