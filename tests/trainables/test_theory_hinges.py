"""docs/theory.md, proposition 1: what values of the triplet and the contrastive loss imply."""

import math

import pytest
import torch

from tests.trainables.theory import SPREADS, margins, nearest_negatives, unit_rows, value
from trainables.loss_values import log_odds
from trainables.losses.contrastive import ContrastiveLoss
from trainables.losses.triplet import TripletLoss

ROUNDING = 1e-9
COMPARED = {"hard": 16, "all": 16 * 3 * 12}
"""Anchors, or triplets, of four classes of four."""


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("mining", ["hard", "all"])
@pytest.mark.parametrize("average", ["active", "all"])
def test_a_triplet_loss_brackets_the_margin(spread, mining, average):
    rows, labels = unit_rows(spread)
    m_star, _ = margins(rows, labels)
    for margin in (0.05, 0.5, 2.0):
        found = value(TripletLoss(margin=margin, mining=mining, average=average), rows, labels)
        assert m_star <= COMPARED[mining] * found - margin + ROUNDING
        assert found == 0 or m_star >= found - margin - ROUNDING
        swapped = TripletLoss(margin=margin, mining=mining, average="all", swap=True)
        assert m_star <= COMPARED[mining] * value(swapped, rows, labels) - margin + ROUNDING


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("mining", ["hard", "all"])
def test_a_soft_triplet_loss_brackets_it_by_its_odds(spread, mining):
    rows, labels = unit_rows(spread)
    found = value(TripletLoss(margin=0.2, mining=mining, hinge="softplus"), rows, labels)
    m_star, _ = margins(rows, labels)
    assert m_star <= log_odds(COMPARED[mining] * found) - 0.2 + ROUNDING
    assert m_star >= log_odds(found) - 0.2 - ROUNDING


@pytest.mark.parametrize("spread", SPREADS)
def test_a_mean_over_anchors_bounds_all_but_a_share_of_them(spread):
    rows, labels = unit_rows(spread, each=8)
    found = value(TripletLoss(margin=0.2, mining="hard", average="all"), rows, labels)
    apart = torch.cdist(rows, rows).masked_fill(labels[:, None] != labels, 0).amax(1)
    excess = apart - nearest_negatives(rows, labels)
    for share in (0.05, 0.25, 1.0):
        above = excess > found / share - 0.2 + ROUNDING
        assert above.double().mean() <= share


def test_semi_hard_mining_is_content_where_every_negative_is_nearer():
    rows, labels = torch.tensor([[0.0], [10.0], [0.1]]), torch.tensor([0, 0, 1])
    assert value(TripletLoss(mining="semi_hard"), rows, labels).item() == 0
    assert margins(rows, labels)[0] == pytest.approx(9.9)


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("average", ["active", "all"])
def test_a_contrastive_loss_bounds_the_margin(spread, average):
    rows, labels = unit_rows(spread)
    loss = ContrastiveLoss(positive_margin=0.1, negative_margin=0.8, average=average)
    found = value(loss, rows, labels)
    # 48 ordered pairs of one class and 192 of two, each pair twice.
    assert margins(rows, labels)[0] <= 0.1 - 0.8 + 192 / 2 * found + ROUNDING


def test_a_contrastive_loss_of_zero_leaves_its_margins():
    rows = torch.tensor([[0.0], [0.1], [0.9], [1.0]], dtype=torch.float64)
    labels = torch.tensor([0, 0, 1, 1])
    loss = ContrastiveLoss(positive_margin=0.1, negative_margin=0.8)
    assert value(loss, rows, labels).item() == pytest.approx(0, abs=1e-12)
    assert margins(rows, labels)[0] == pytest.approx(0.1 - 0.8)


@pytest.mark.parametrize("margin", [0.2, 1.0])
def test_losses_of_groups_say_nothing_of_their_points(margin):
    # Each group on either side of its mean; of groups alone, every loss would be satisfied.
    half = margin / 2
    points = torch.tensor([[half, 1.0], [half, -1.0]], dtype=torch.float64)
    points[:, 1] *= math.sqrt(1 - half**2)
    points = torch.cat([points, -points])
    labels = torch.tensor([0, 0, 1, 1])
    groups = torch.stack([points[:2].mean(0), points[:2].mean(0), points[2:].mean(0)])
    loss = TripletLoss(margin=margin, mining="hard")
    assert value(loss, groups, torch.tensor([0, 0, 1])).item() == pytest.approx(0, abs=1e-12)
    assert margins(points, labels)[0] == pytest.approx(2 * math.sqrt(1 - half**2) - margin)
