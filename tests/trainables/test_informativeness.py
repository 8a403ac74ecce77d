import math
from collections import Counter

import numpy as np
import pytest
import torch
from scipy.stats import entropy
from sklearn.linear_model import Ridge

from trainables.aggregators.max import MaxAggregator
from trainables.aggregators.mean import MeanAggregator
from trainables.informativeness import (
    RIDGE,
    effective_rank,
    informativeness,
    neighbour_accuracy,
    probe_accuracy,
)


def clouds(apart, classes=4, each=12, width=6, seed=0):
    torch.manual_seed(seed)
    labels = torch.arange(classes).repeat(each)[torch.randperm(classes * each)]
    centres = apart * torch.randn(classes, width, dtype=torch.float64)
    return centres[labels] + torch.randn(len(labels), width, dtype=torch.float64), labels


@pytest.mark.parametrize("apart", [0.0, 0.5, 1.0, 10.0])
def test_the_probe_is_penalised_least_squares_on_half_of_each_class(apart):
    rows, labels = clouds(apart)
    fitted, seen = [], Counter()
    for label in labels.tolist():
        fitted.append(seen[label] % 2 == 0)
        seen[label] += 1
    known = rows[fitted].numpy()
    centred = known - known.mean(0)
    probe = Ridge(RIDGE * np.square(centred).sum(1).mean()).fit(
        centred, np.eye(4)[labels[fitted].numpy()]
    )
    others = [not is_fitted for is_fitted in fitted]
    predicted = probe.predict(rows[others].numpy() - known.mean(0)).argmax(1)
    expected = (predicted == labels[others].numpy()).mean()
    assert probe_accuracy(rows, labels) == pytest.approx(expected)


def test_classes_far_apart_are_told_apart_whatever_their_numbers():
    rows, labels = clouds(30.0)
    assert probe_accuracy(rows, labels * 17 + 3) == 1
    assert neighbour_accuracy(rows, labels * 17 + 3) == 1


@pytest.mark.parametrize("apart", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("each", [2, 12])
def test_neighbours_vote_and_the_nearer_class_wins_a_tie(apart, each):
    rows, labels = clouds(apart, each=each)
    right = 0
    for row, label in zip(rows, labels, strict=True):
        near = labels[(rows - row).norm(dim=1).argsort()[1:6]].tolist()
        votes = Counter(near)
        right += max(near, key=lambda voted: (votes[voted], -near.index(voted))) == label
    assert neighbour_accuracy(rows, labels) == pytest.approx(right / len(labels))


def test_the_effective_rank_is_the_exponential_of_an_entropy():
    rows, _ = clouds(2.0)
    values = np.linalg.svd((rows - rows.mean(0)).numpy(), compute_uv=False)
    assert effective_rank(rows) == pytest.approx(math.exp(entropy(values)))


@pytest.mark.parametrize(
    ("rows", "rank"),
    [
        (torch.eye(3, dtype=torch.float64).repeat(2, 1) - 1 / 3, 2),
        (torch.arange(6.0, dtype=torch.float64)[:, None] * torch.ones(4), 1),
        (torch.ones(5, 4, dtype=torch.float64), 1),
    ],
)
def test_effective_ranks_worked_by_hand(rows, rank):
    assert effective_rank(rows) == pytest.approx(rank)


def test_shifts_worked_by_hand():
    members = torch.tensor([[[0.0], [2.0], [4.0], [6.0]], [[10.0], [12.0], [14.0], [16.0]]])
    found = informativeness(members, torch.tensor([0, 0]), MeanAggregator(1))
    # The means are 3 and 13, 10 / sqrt(2) apart in root mean square over all ordered pairs.
    scale = 10 / math.sqrt(2)
    assert found["drop_shift"] == pytest.approx(1 / scale)
    assert found["half_shift"] == pytest.approx(2 / scale)


def test_single_points_have_no_shift():
    rows, labels = clouds(1.0)
    found = informativeness(rows[:, None].float(), labels, MeanAggregator(6))
    assert set(found) == {"probe_accuracy", "neighbour_accuracy", "effective_rank"}


@pytest.mark.parametrize("aggregator", [MeanAggregator(6), MaxAggregator(6)])
def test_groups_that_coincide_are_measured_without_a_nan(aggregator):
    found = informativeness(torch.ones(8, 3, 6), torch.arange(8) // 2, aggregator)
    assert all(map(math.isfinite, found.values()))
    assert found["drop_shift"] == found["half_shift"] == 0
    assert found["effective_rank"] == 1


def test_scale_and_position_do_not_matter():
    rows, labels = clouds(1.0, each=6)
    members = torch.stack([rows, rows + 0.1 * torch.randn_like(rows)], 1).float()
    one = informativeness(members, labels, MeanAggregator(6))
    other = informativeness(100 * members + 7, labels, MeanAggregator(6))
    assert one == pytest.approx(other, rel=1e-3)
