"""docs/theory.md, proposition 8 and what the Group Loss leaves open."""

import math

import pytest
import torch

from tests.trainables.theory import margins, unit_rows, value
from trainables.loss_values import softmax_separation
from trainables.losses.group_loss import GroupLossLoss, similarities

LENGTH = 0.99
"""Of the part of a point that correlations are blind to: its mean over all coordinates."""
SHARED = LENGTH / math.sqrt(2) * torch.ones(2, dtype=torch.float64)
OWN = math.sqrt((1 - LENGTH**2) / 2) * torch.tensor([1.0, -1.0], dtype=torch.float64)
# Two points of each class, of length 1, in the plane.
ROWS = torch.stack([SHARED + OWN, -SHARED + OWN, SHARED - OWN, -SHARED - OWN])
LABELS = torch.tensor([0, 0, 1, 1])
M_STAR = 2 * (LENGTH - math.sqrt(1 - LENGTH**2))


def group_loss(weight, bias=None, **options):
    loss = GroupLossLoss(weight.shape[1], len(weight), **options)
    with torch.no_grad():
        loss.classifier.weight.data = weight
        loss.classifier.bias.data = torch.zeros(len(weight)).to(weight) if bias is None else bias
    return loss


def test_correlation_sees_one_block_for_each_class_where_distances_see_none():
    for zero_diagonal in (False, True):
        expected = (LABELS[:, None] == LABELS).double() - zero_diagonal * torch.eye(4)
        torch.testing.assert_close(similarities(ROWS, zero_diagonal), expected)
    assert ROWS.norm(dim=1).tolist() == pytest.approx([1.0] * 4)
    assert margins(ROWS, LABELS)[0] == pytest.approx(M_STAR)
    assert pytest.approx(1.698, abs=1e-3) == M_STAR


@pytest.mark.parametrize("steps", [1, 5])
@pytest.mark.parametrize("anchors", [0, 1])
@pytest.mark.parametrize("prior", ["all", "batch"])
@pytest.mark.parametrize("zero_diagonal", [False, True])
def test_every_option_lets_the_loss_vanish_while_the_margin_is_large(
    steps, anchors, prior, zero_diagonal
):
    # A third class that no row has: the prior may give shares to it.
    weight = 2e4 * torch.stack([OWN, -OWN, torch.zeros(2)]).double()
    loss = group_loss(
        weight, steps=steps, anchors=anchors, prior=prior, zero_diagonal=zero_diagonal
    )
    assert value(loss, ROWS, LABELS).item() < 1e-7


def test_anchors_alone_let_it_vanish_without_any_classifier():
    def found(**options):
        weight = torch.zeros(2, 2, dtype=torch.float64)
        loss = group_loss(weight, anchors=1, cross_entropy_weight=0.0, **options)
        return value(loss, ROWS, LABELS).item()

    # From a share of one half of each open row: 3/4, 21/22, ...
    assert found(steps=1) == pytest.approx(-math.log(3 / 4) / 2)
    assert found(steps=2) == pytest.approx(-math.log(21 / 22) / 2)
    assert found(steps=5) < 1e-11
    assert found(steps=1, zero_diagonal=True) < 1e-11


def test_the_cross_entropy_of_a_bounded_classifier_keeps_classes_apart():
    for spread in (0.05, 0.3):
        rows, labels = unit_rows(spread, classes=3)
        # Each class by its mean; sharp enough for losses below log 2.
        means = torch.stack([rows[labels == label].mean(0) for label in range(3)])
        for sharpness in (5.0, 20.0, 80.0):
            weight, bias = sharpness * means, -sharpness / 2 * means.square().sum(1)
            loss = group_loss(weight, bias, scaling=1e-9)
            each = torch.stack([value(loss, rows[i : i + 1], labels[i : i + 1]) for i in range(12)])
            stretch = torch.cdist(weight, weight).max()
            promised = softmax_separation(each.max(), stretch)
            apart = torch.cdist(rows, rows)[labels[:, None] != labels].min()
            assert apart >= promised - 1e-9
            # The sum of all losses is at least the largest.
            assert softmax_separation(12 * value(loss, rows, labels), stretch) <= promised + 1e-6


def test_the_separation_by_a_classifier_is_attained_and_says_nothing_within_a_class():
    # Two points at half the promised distance to the border, and one at the far end of its class.
    rows = torch.tensor([[0.3, 0.0], [0.3, 40.0], [-0.3, 0.0]], dtype=torch.float64)
    weight = torch.tensor([[2.0, 0.0], [-2.0, 0.0]], dtype=torch.float64)
    loss = group_loss(weight, scaling=1e-12)
    found = value(loss, rows[2:], torch.tensor([1]))
    assert found.item() == pytest.approx(math.log1p(math.exp(-1.2)), abs=1e-9)
    assert softmax_separation(found, 4.0).item() == pytest.approx(0.6, abs=1e-9)
    assert margins(rows, torch.tensor([0, 0, 1]))[0] == pytest.approx(40 - 0.6)


def test_from_log_two_on_a_softmax_separates_nothing():
    assert softmax_separation(torch.tensor([math.log(2), 3.0]), 1.0).tolist() == [0.0, 0.0]
