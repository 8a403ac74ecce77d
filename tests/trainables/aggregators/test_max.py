import torch

from trainables.aggregators.max import MaxAggregator


def test_the_largest_of_each_feature_worked_by_hand():
    embeddings = torch.tensor([[[1.0, -5.0], [-3.0, -2.0], [9.0, 9.0]]])
    mask = torch.tensor([[True, True, False]])
    assert MaxAggregator(2)(embeddings, mask).tolist() == [[1.0, -2.0]]


def test_members_that_share_the_largest_value_share_the_gradient():
    embeddings = torch.tensor([[[1.0], [1.0], [0.0], [1.0]]], requires_grad=True)
    MaxAggregator(1)(embeddings, torch.tensor([[True, True, True, False]])).sum().backward()
    assert embeddings.grad.flatten().tolist() == [0.5, 0.5, 0.0, 0.0]


def test_it_leaves_the_hull_and_says_why():
    largest = MaxAggregator(2)(torch.eye(2)[None], torch.ones(1, 2, dtype=torch.bool))
    assert largest.tolist() == [[1.0, 1.0]]  # on no segment between (1, 0) and (0, 1)
    assert MaxAggregator.outside_hull == (
        "the largest features of different members need not lie between the members"
    )
