"""docs/theory.md, propositions 2 to 6: what a value of InfoNCE implies."""

import itertools
import math

import pytest
import torch
from torch.nn.functional import normalize, softplus

from tests.trainables.theory import (
    SPREADS,
    excess_over_nearest,
    margins,
    nearest_negatives,
    ordered_pairs,
    pushed,
    unit_rows,
    value,
)
from trainables.loss_values import (
    infonce_excess,
    infonce_group_bound,
    infonce_quantile,
    log_odds,
    margin_from_squares,
)
from trainables.losses.infonce import InfonceLoss

TEMPERATURES = [0.02, 0.1, 0.5, 5.0]
ROUNDING = 1e-9


def squares(rows):
    return torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist").square()


def terms(rows, labels, temperature, contrast="negatives"):
    """The loss of every ordered pair of one class, written out."""
    similar = rows @ rows.T / temperature
    anchors, positives = ordered_pairs(labels)
    itself = torch.eye(len(rows), dtype=torch.bool)
    left_out = labels[:, None] == labels if contrast == "negatives" else itself
    others = similar.masked_fill(left_out, -torch.inf).logsumexp(1)[anchors]
    own = similar[anchors, positives]
    return softplus(others - own) if contrast == "negatives" else others - own


def excesses(rows, labels):
    """``d(a, p)^2 - d(a, n)^2`` of all triplets: a row for each ordered pair, NaN elsewhere."""
    apart, (anchors, positives) = squares(rows), ordered_pairs(labels)
    differences = apart[anchors, positives][:, None] - apart[anchors]
    return differences.masked_fill(labels[anchors][:, None] == labels, torch.nan)


def hardest_of(rows, labels):
    """``max_n d(a, p)^2 - d(a, n)^2`` of every ordered pair of one class."""
    return excesses(rows, labels).nan_to_num(-torch.inf).amax(1)


@pytest.mark.parametrize("contrast", ["negatives", "others"])
def test_our_loss_is_the_mean_of_the_terms_that_the_theory_speaks_of(contrast):
    rows, labels = unit_rows(0.3)
    found = value(InfonceLoss(contrast=contrast, temperature=0.2), rows, labels)
    assert found.item() == pytest.approx(terms(rows, labels, 0.2, contrast).mean().item())


def test_the_logarithm_of_odds_keeps_its_digits_and_is_concave():
    loss = torch.tensor([1e-20, 1e-6, math.log(2), 1.0, 50.0, 1e4], dtype=torch.float64)
    expected = [math.log(1e-20), math.log(math.expm1(1e-6)), 0.0, math.log(math.e - 1), 50.0, 1e4]
    assert log_odds(loss).tolist() == pytest.approx(expected, abs=1e-12)
    grid = torch.linspace(0.01, 8, 500, dtype=torch.float64)
    assert (log_odds(grid).diff().diff() < 0).all()


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_a_pair_s_loss_brackets_the_excess_over_its_nearest_negative(spread, temperature):
    rows, labels = unit_rows(spread)
    bound = infonce_excess(terms(rows, labels, temperature), temperature)
    hardest, negatives = hardest_of(rows, labels), (labels != 0).sum().log().item()
    assert (hardest <= bound + ROUNDING).all()
    assert (hardest >= bound - 2 * temperature * negatives - ROUNDING).all()


def test_both_ends_of_the_bracket_are_attained():
    # One negative; and three that lie on each other.
    for copies in (1, 3):
        rows, _ = unit_rows(1.0, classes=3, each=1, width=3)
        rows = rows[[0, 1, *[2] * copies]]
        labels = torch.tensor([0, 0, *[1] * copies])
        bound = infonce_excess(terms(rows, labels, 0.2)[:2], 0.2) - 0.4 * math.log(copies)
        assert hardest_of(rows, labels)[:2].tolist() == pytest.approx(bound.tolist())


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_the_largest_loss_bounds_the_margin_and_so_does_the_sum(spread, temperature):
    rows, labels = unit_rows(spread)
    of_pairs = terms(rows, labels, temperature)
    total = len(of_pairs) * value(InfonceLoss(temperature=temperature), rows, labels)
    m_star, m_squared = margins(rows, labels)
    for loss in (of_pairs.max(), total):
        bound = infonce_excess(loss, temperature)
        assert m_squared <= bound + ROUNDING
        assert m_star <= margin_from_squares(bound) + ROUNDING


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_no_configuration_breaks_the_bound_on_the_margin(temperature):
    labels = torch.tensor([0, 0, 1, 1, 1])

    def beyond(rows):
        apart = squares(rows).clamp_min(1e-12).sqrt()
        anchors, positives = ordered_pairs(labels)
        nearest = apart.masked_fill(labels[:, None] == labels, torch.inf).amin(1)
        m_star = (apart[anchors, positives] - nearest[anchors]).max()
        bound = infonce_excess(terms(rows, labels, temperature).max(), temperature)
        return m_star - margin_from_squares(bound)

    start = normalize(torch.randn(5, 3, dtype=torch.float64))
    found = beyond(pushed(beyond, start)).item()
    assert beyond(start).item() < -0.5
    assert -0.05 < found <= ROUNDING


@pytest.mark.parametrize("excess", [-3.99, -2.0, -0.5, -1e-3, 1e-3, 0.5, 2.0, 3.99])
def test_the_bound_on_the_margin_is_attained(excess):
    if excess < 0:
        # Anchor and positive on either side of the point opposite the negative.
        between = (3 + math.sqrt(9 - 4 * excess)) / 2 + excess
        half = math.asin(math.sqrt(between) / 2)
        rows = [[math.cos(half), math.sin(half)], [math.cos(half), -math.sin(half)], [-1.0, 0.0]]
    else:
        # The negative lies on the anchor.
        angle = 2 * math.asin(math.sqrt(excess) / 2)
        rows = [[1.0, 0.0], [math.cos(angle), math.sin(angle)], [1.0, 0.0]]
    rows, labels = torch.tensor(rows, dtype=torch.float64), torch.tensor([0, 0, 1])
    loss = terms(rows, labels, 0.3).max()
    assert infonce_excess(loss, 0.3).item() == pytest.approx(excess, abs=1e-9)
    bound = margin_from_squares(infonce_excess(loss, 0.3)).item()
    assert margins(rows, labels)[0] == pytest.approx(bound, abs=1e-7)
    assert (bound < 0) == (excess < 0)


def test_no_excess_makes_more_than_the_diameter():
    ends = torch.tensor([-torch.inf, -4.0, 0.0, 4.0, 1e9], dtype=torch.float64)
    assert margin_from_squares(ends).tolist() == [-2.0, -2.0, 0.0, 2.0, 2.0]


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_the_mean_loss_bounds_mean_excesses(spread, temperature):
    rows, labels = (of[2:] for of in unit_rows(spread))
    loss = value(InfonceLoss(temperature=temperature), rows, labels)
    bound, of_triplets = infonce_excess(loss, temperature), excesses(rows, labels)
    assert hardest_of(rows, labels).mean() <= bound + ROUNDING
    # Classes of two and of four: anchors have different numbers of negatives.
    negatives = (~of_triplets.isnan()).sum(1)
    assert set(negatives.tolist()) == {10, 12}
    number = 2 * temperature * negatives.double().log().mean()
    assert of_triplets.nanmean(1).mean() <= bound - number + ROUNDING


@pytest.mark.parametrize("share", [0.01, 0.05, 0.25, 1.0])
@pytest.mark.parametrize("spread", SPREADS)
def test_the_mean_loss_bounds_a_quantile(share, spread):
    for temperature in TEMPERATURES:
        rows, labels = unit_rows(spread, classes=3, each=8)
        loss = value(InfonceLoss(temperature=temperature), rows, labels)
        bound = infonce_quantile(loss, temperature, share)
        above = (excess_over_nearest(rows, labels) > bound + ROUNDING).double().mean()
        assert above <= share


def test_the_expected_loss_of_batches_bounds_the_mean_over_all_triplets():
    # All batches of two points of each of three classes of four.
    rows, labels = unit_rows(0.4, classes=3, each=4)
    loss, chosen = InfonceLoss(temperature=0.2), list(itertools.combinations(range(4), 2))
    batches = [
        value(loss, rows[torch.tensor([*a, *(4 + i for i in b), *(8 + i for i in c)])],
              labels[[0, 1, 4, 5, 8, 9]])
        for a, b, c in itertools.product(chosen, repeat=3)
    ]  # fmt: skip
    expected = torch.stack(batches).mean()
    bound = infonce_excess(expected, 0.2) - 2 * 0.2 * math.log(4)
    assert excesses(rows, labels).nanmean() <= bound


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_with_other_positives_in_the_denominator_their_number_is_taken_off(spread, temperature):
    rows, labels = unit_rows(spread)
    positives, anchors = 3, len(rows)
    loss = value(InfonceLoss(temperature=temperature, contrast="others"), rows, labels)
    of_anchors = terms(rows, labels, temperature, "others").view(anchors, positives).mean(1)
    over = of_anchors - math.log(positives)
    assert (over > 0).all()
    hardest = hardest_of(rows, labels).view(anchors, positives)
    worst = infonce_excess(positives * over, temperature)
    assert (hardest.amax(1) <= worst + ROUNDING).all()
    mean = infonce_excess(over, temperature) + 2 * temperature * math.log(positives)
    assert (hardest.mean(1) <= mean + ROUNDING).all()
    of_all = infonce_excess(loss - math.log(positives), temperature)
    assert hardest.mean() <= of_all + 2 * temperature * math.log(positives) + ROUNDING
    # All of the excess at one pair.
    alone = infonce_excess(anchors * positives * (loss - math.log(positives)), temperature)
    assert margins(rows, labels)[1] <= alone + ROUNDING


def test_the_bound_with_other_positives_is_attained():
    # One negative n, three positives of which two are equally near: q_p = 1 / (3 (1 + r)).
    temperature, ratio = 0.5, 0.4
    shares = torch.tensor([1 / (3 * (1 + ratio)), 1 / 3, 1 / 3, ratio / (3 * (1 + ratio))])
    similar = temperature * shares.double().log() + 0.9
    rows = torch.stack([similar, (1 - similar.square()).sqrt()], 1)
    rows = torch.cat([torch.tensor([[1.0, 0.0]], dtype=torch.float64), rows])
    labels = torch.tensor([0, 0, 0, 0, 1])
    of_anchor = terms(rows, labels, temperature, "others")[:3].mean()
    bound = infonce_excess(3 * (of_anchor - math.log(3)), temperature)
    assert hardest_of(rows, labels)[:3].max().item() == pytest.approx(bound.item())


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_two_groups_are_as_near_as_their_members_loss_says(spread, temperature):
    rows, labels = unit_rows(spread, classes=3, each=7)
    one, other, negative = rows[:3], rows[3:7], rows[7:]
    weights = [torch.rand(k, dtype=torch.float64).pow(3) for k in (3, 4)]
    alpha, beta = (w / w.sum() for w in weights)
    similar = one @ negative.T / temperature
    losses = torch.stack([
        softplus(similar.logsumexp(1) - one @ p / temperature) for p in other
    ], 1)  # fmt: skip
    z, w = alpha @ one, beta @ other
    spreads = alpha @ (one - z).square().sum(1) + beta @ (other - w).square().sum(1)
    delta = nearest_negatives(rows, labels)[:3]
    loss = alpha @ losses @ beta
    bound = infonce_group_bound(loss, temperature, alpha @ delta.square(), spreads)
    assert (z - w).norm() <= bound + ROUNDING
    # The mean square in place of the nearest one's, and the logarithm of their number taken off.
    mean = alpha @ torch.cdist(one, negative).square().mean(1)
    squared = mean + infonce_excess(loss, temperature) - spreads
    assert (z - w).square().sum() <= squared - 2 * temperature * math.log(14) + ROUNDING


def test_the_views_of_a_row_say_nothing_of_its_class():
    # Both views coincide, the two points of a class are opposite, those of two classes 60 degrees
    # apart: loss 4e-4, m* = 1.
    turn = torch.tensor([0.0, math.pi, math.pi / 3, 4 * math.pi / 3], dtype=torch.float64)
    rows, labels = torch.stack([turn.cos(), turn.sin()], 1), torch.tensor([0, 0, 1, 1])
    for contrast in ("negatives", "others", "keys", "keys_one_way"):
        loss = InfonceLoss(positives="views", contrast=contrast, temperature=0.06)
        assert value(loss, rows, labels, rows).item() < 1e-3
    assert margins(rows, labels)[0] == pytest.approx(1.0)


def test_keys_leave_a_gap_between_the_views():
    # First and second views in two cones about opposite directions: each its own class.
    steps = 0.5 * torch.eye(4, dtype=torch.float64)
    axis = torch.full((4, 1), math.sqrt(0.75), dtype=torch.float64)
    first, second = torch.cat([axis, steps], 1), torch.cat([-axis, steps], 1)
    for contrast in ("keys", "keys_one_way"):
        loss = InfonceLoss(positives="views", contrast=contrast, temperature=0.025)
        assert value(loss, first, torch.arange(4), second).item() < 1.5e-4
    m_star, _ = margins(torch.cat([first, second]), torch.arange(4).repeat(2))
    assert m_star == pytest.approx(math.sqrt(3) - math.sqrt(0.5))


@pytest.mark.parametrize("contrast", ["keys", "keys_one_way"])
def test_keys_bound_what_they_compare(contrast):
    for spread in SPREADS:
        first, labels = unit_rows(0.5, classes=6, each=1)
        second = normalize(first + spread * torch.randn_like(first))
        loss = InfonceLoss(positives="views", contrast=contrast, temperature=0.1)
        found = value(loss, first, labels, second)
        apart = torch.cdist(first, second).square()
        others = apart.masked_fill(torch.eye(6, dtype=torch.bool), torch.inf)
        mean = (apart.diagonal() - others.amin(1)).mean()
        if contrast == "keys":
            mean = (mean + (apart.diagonal() - others.amin(0)).mean()) / 2
        assert mean <= infonce_excess(found, 0.1) + ROUNDING
