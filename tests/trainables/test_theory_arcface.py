"""docs/theory.md, proposition 7: what a value of ArcFace implies, and what it does not."""

import math

import pytest
import torch
from torch.nn.functional import normalize

from tests.trainables.theory import margins, pushed, value
from trainables.angular import angular_margin_loss
from trainables.loss_values import arcface_angle, log_odds, margin_from_angle
from trainables.losses.arcface import ArcfaceLoss

MARGINS = [0.0, 0.2, 0.5, 1.0, 1.5]
ROUNDING = 1e-6
"""Of angles near 0 and pi, whose cosines are known to 1e-16."""


def arcface(prototypes, margin, scale):
    loss = ArcfaceLoss(prototypes.shape[1], len(prototypes), margin=margin, scale=scale)
    with torch.no_grad():
        loss.prototypes.data = prototypes
    return loss


def losses(loss, rows, labels):
    """Of each row by itself."""
    each = [value(loss, row[None], label[None]) for row, label in zip(rows, labels, strict=True)]
    return torch.stack(each)


def angles(rows):
    return 2 * (torch.cdist(rows, rows) / 2).clamp(max=1).asin()


def plane(*turns):
    turn = torch.tensor(turns, dtype=torch.float64)
    return torch.stack([turn.cos(), turn.sin()], 1)


def trained_by_hand(margin, scale, classes=3, each=4, width=4):
    """Points moved towards low losses, until the largest is below log 2."""
    prototypes = normalize(torch.randn(classes, width, dtype=torch.float64))
    labels = torch.arange(classes).repeat_interleave(each)
    loss = arcface(prototypes, margin, scale)
    rows = normalize(torch.randn(len(labels), width, dtype=torch.float64))
    while losses(loss, rows, labels).max() >= math.log(2):
        step = normalize(torch.randn_like(rows)) * torch.rand(len(rows), 1)
        moved = normalize(0.5 * rows + 0.7 * prototypes[labels] + 0.1 * step)
        better = losses(loss, moved, labels) < losses(loss, rows, labels)
        rows = torch.where(better[:, None], moved, rows)
    return loss, rows, labels


@pytest.mark.parametrize("margin", [0.0, 0.2, 0.5])
@pytest.mark.parametrize("scale", [8.0, 32.0])
def test_small_losses_keep_classes_apart_and_the_points_of_one_within_the_rest(margin, scale):
    loss, rows, labels = trained_by_hand(margin, scale)
    angle = arcface_angle(losses(loss, rows, labels).max(), margin, scale)
    same = labels[:, None] == labels
    assert angle >= margin
    assert angles(rows)[~same].min() >= angle - ROUNDING
    assert angles(rows)[same].max() <= math.pi - angle + ROUNDING
    assert margins(rows, labels)[0] <= margin_from_angle(angle) + ROUNDING


def test_points_pushed_towards_each_other_stay_as_far_apart_as_promised():
    # As near as the losses allow, by moving the prototypes as well.
    margin, scale = torch.tensor([0.5, 4.0], dtype=torch.float64)
    labels = torch.tensor([[0], [1]])

    def beyond(free):
        rows, prototypes = free[:2, None], free[2:]
        worst = torch.stack([
            angular_margin_loss(row, prototypes, label, margin, scale)
            for row, label in zip(rows, labels, strict=True)
        ]).max()  # fmt: skip
        promised = arcface_angle(worst.clamp(max=0.69), margin, scale)
        apart = 2 * ((free[0] - free[1]).norm() / 2).asin()
        return promised - apart - 10 * (worst - 0.69).clamp(min=0)

    start = normalize(torch.randn(4, 3, dtype=torch.float64))
    found = beyond(pushed(beyond, start)).item()
    assert beyond(start).item() < -0.5
    assert -0.1 < found <= ROUNDING


@pytest.mark.parametrize("margin", MARGINS)
@pytest.mark.parametrize("gain", [0.05, 0.5, 0.9])
def test_the_least_angle_of_classes_is_attained(margin, gain):
    # Prototypes pi - margin apart, points between them on the same circle; or points on prototypes.
    turn, apart = math.acos(gain / 2) - margin, math.pi - margin
    expected = margin + 2 * math.asin(gain / 2)
    if turn < 0:
        turn, apart = 0, math.acos(math.cos(margin) - gain)
        expected = apart
    rows = plane(turn, apart - turn)
    loss = arcface(plane(0, apart), margin, 8.0)
    found = losses(loss, rows, torch.tensor([0, 1]))
    assert found.tolist() == pytest.approx([math.log1p(math.exp(-8.0 * gain))] * 2)
    promised = arcface_angle(found.max(), margin, 8.0).item()
    assert promised == pytest.approx(expected, abs=1e-7)
    assert angles(rows)[0, 1].item() == pytest.approx(promised, abs=1e-7)


@pytest.mark.parametrize("margin", MARGINS)
def test_two_opposite_prototypes_attain_the_bound_on_the_margin(margin):
    # Losses just below log 2 at any scale: the limit of no gain.
    turn = math.acos(1e-9 / (2 * math.cos(margin / 2))) - margin / 2
    rows = plane(turn, -turn, math.pi - turn, math.pi + turn)
    labels = torch.tensor([0, 0, 1, 1])
    found = losses(arcface(plane(0, math.pi), margin, 64.0), rows, labels).max()
    bound = margin_from_angle(arcface_angle(found, margin, 64.0)).item()
    assert margins(rows, labels)[0] == pytest.approx(bound, abs=1e-6)
    assert bound == pytest.approx(2 * math.cos(margin / 2) - 2 * math.sin(margin / 2), abs=1e-6)


def test_a_loss_of_a_millionth_leaves_the_margin_at_more_than_one():
    turn = math.acos(0.2 / (2 * math.cos(0.25))) - 0.25
    rows, labels = plane(turn, -turn, math.pi - turn, math.pi + turn), torch.tensor([0, 0, 1, 1])
    loss = arcface(plane(0, math.pi), 0.5, 64.0)
    assert value(loss, rows, labels).item() == pytest.approx(2.76e-6, rel=1e-2)
    assert margins(rows, labels)[0] == pytest.approx(1.185, abs=1e-3)
    promised = margin_from_angle(arcface_angle(losses(loss, rows, labels).max(), 0.5, 64.0))
    assert promised.item() == pytest.approx(1.1925, abs=1e-3)


def test_a_margin_below_zero_needs_a_gain_that_the_loss_must_show():
    # margin 0.5, scale 8: 2 sin(pi / 4 - 0.25) of gain.
    gain = 2 * math.sin(math.pi / 4 - 0.25)
    loss = torch.tensor([1.01, 0.99], dtype=torch.float64) * math.log1p(math.exp(-8 * gain))
    assert loss[0].item() == pytest.approx(2.88e-4, rel=1e-2)
    above, below = margin_from_angle(arcface_angle(loss, 0.5, 8.0)).tolist()
    assert above > 0 > below


@pytest.mark.parametrize("margin", MARGINS)
def test_the_margin_is_on_the_own_angle_alone_and_never_reaches_its_far_branch(margin):
    # Below log 2 the larger angle is at most pi, whatever the prototypes.
    loss = arcface(normalize(torch.randn(2, 3, dtype=torch.float64)), margin, 8.0)
    rows = normalize(torch.randn(200, 3, dtype=torch.float64))
    found = losses(loss, rows, torch.zeros(200, dtype=torch.int64))
    small = found < math.log(2)
    cosines = rows @ normalize(loss.prototypes.detach()).T
    own, other = cosines[small].clamp(-1, 1).acos().T
    assert (own + margin <= math.pi).all()
    gain = -log_odds(found[small]) / 8
    torch.testing.assert_close((own + margin).cos() - other.cos(), gain, rtol=0, atol=1e-6)


def test_from_log_two_on_the_loss_says_nothing():
    loss = torch.tensor([math.log(2), 1.0], dtype=torch.float64)
    assert arcface_angle(loss, 0.5, 8.0).isnan().all()


def test_a_mean_loss_speaks_of_all_but_a_share_of_the_points():
    loss, rows, labels = trained_by_hand(0.2, 16.0, each=8)
    # One point astray.
    rows[0] = -rows[0]
    of_rows, share = losses(loss, rows, labels), 1 / 12
    mean = value(loss, rows, labels)
    assert mean.item() == pytest.approx(of_rows.mean().item())
    left = of_rows <= mean / share
    assert 0 < (~left).double().mean() < share
    rest = losses(loss, rows[left], labels[left]).max()
    promised = arcface_angle(rest, 0.2, 16.0)
    apart = angles(rows[left])[labels[left][:, None] != labels[left]]
    assert apart.min() >= promised - ROUNDING
