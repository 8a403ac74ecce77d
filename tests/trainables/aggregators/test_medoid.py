import json
import math
from pathlib import Path

import pytest
import torch

from trainables.aggregators.medoid import MedoidAggregator

ORACLE = json.loads((Path(__file__).parents[2] / "oracles" / "bound.json").read_text())["cases"]


def naive(members):
    """Place of the first member with the smallest sum of distances."""
    sums = [sum(math.dist(one, other) for other in members) for one in members]
    return sums.index(min(sums))


@pytest.mark.parametrize("case", ORACLE)
def test_medoids_are_the_recorded_ones(case):
    inputs, outputs = ORACLE[case]["inputs"], ORACLE[case]["outputs"]
    embeddings = torch.tensor(inputs["embeddings"], dtype=torch.float64)
    groups = torch.tensor(inputs["group_ids"])
    mask = groups == torch.tensor([int(group) for group in outputs["medoids"]])[:, None]
    found = MedoidAggregator(embeddings.shape[1])(embeddings.expand(len(mask), -1, -1), mask)
    expected = torch.tensor(list(outputs["medoids"].values()), dtype=torch.float64)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_the_medoid_worked_by_hand():
    # Sums of distances of 0, 5 and 1: 6, 9 and 5; were 9 a member, 5 and 1 would tie.
    embeddings = torch.tensor([[[0.0], [5.0], [1.0], [9.0]]])
    weights = MedoidAggregator(1).weights(embeddings, torch.tensor([[True, True, True, False]]))
    assert weights.tolist() == [[0.0, 0.0, 1.0, 0.0]]


def test_weights_choose_the_member_of_the_formula():
    embeddings = torch.randn(20, 6, 3, dtype=torch.float64)
    mask = torch.rand(20, 6) < 0.7
    mask[:, 2] = True
    weights = MedoidAggregator(3).weights(embeddings, mask)
    for group in range(20):
        real = mask[group].nonzero()[:, 0].tolist()
        expected = torch.zeros(6, dtype=torch.float64)
        expected[real[naive(embeddings[group, mask[group]].tolist())]] = 1
        assert weights[group].tolist() == expected.tolist()


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_of_two_members_it_is_the_first(scale):
    embeddings = scale * torch.randn(50, 3, 7)
    mask = torch.tensor([[False, True, True]]).expand(50, 3)
    found = MedoidAggregator(7)(embeddings, mask)
    torch.testing.assert_close(found, embeddings[:, 1], rtol=0, atol=0)


def test_the_whole_gradient_goes_to_the_medoid():
    embeddings = torch.tensor([[[0.0], [5.0], [1.0]]], requires_grad=True)
    MedoidAggregator(1)(embeddings, torch.ones(1, 3, dtype=torch.bool)).sum().backward()
    assert embeddings.grad.tolist() == [[[0.0], [0.0], [1.0]]]


def test_the_theorem_covers_it():
    assert MedoidAggregator.outside_hull is None
