import math
from functools import partial
from itertools import combinations, product

import numpy as np
import pytest
import torch

from tests.trainables.trials import clouds, combined
from tests.trainables.variants import looped, stacked
from trainables import catalogue
from trainables.contracts import LabelledEmbeddings
from trainables.hinge_bounds import excess_bound, hinge_bound
from trainables.losses.bound import BoundLoss
from trainables.margin import group_margin
from trainables.member import Member

float64 = partial(torch.tensor, dtype=torch.float64)
CLOSE = {"rtol": 0, "atol": 1e-9}
FORMS = ["t8", "t9"]
LABELS = [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]
UNEQUAL = [0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 3]


def compare(embeddings, labels, **options):
    return BoundLoss(**options).compare(LabelledEmbeddings(embeddings, torch.tensor(labels)))


def value_and_gradient(embeddings, labels, **options):
    leaf = embeddings.detach().requires_grad_()
    value = compare(leaf, labels, **options)
    return value.detach(), torch.autograd.grad(value, leaf)[0]


def random_rows(labels, width=3):
    """Rows that overlap much, little or not at all between classes."""
    centres = torch.randn(max(labels) + 1, width, dtype=torch.float64)
    spread = 10 ** (2 * torch.rand(()) - 1)
    return centres[torch.tensor(labels)] + spread * torch.randn(len(labels), width).double()


def distances(rows):
    return (rows[:, None] - rows).norm(dim=2)


def pairs_of(labels):
    return [(i, j) for i, j in product(range(len(labels)), repeat=2) if is_pair(labels, i, j)]


def is_pair(labels, i, j):
    return i != j and labels[i] == labels[j]


def negatives_of(labels, i):
    return [n for n in range(len(labels)) if labels[n] != labels[i]]


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def naive(rows, labels, form, margin):
    """The loss and the reach, pair by pair and negative by negative."""
    apart = distances(rows)

    def reaches(i, j):
        if form == "t8":
            return [apart[i, n] for n in negatives_of(labels, i)]
        return [min(apart[k, n] for k in (i, j) for n in negatives_of(labels, i))]

    pairs = pairs_of(labels)
    reach = mean(mean(reaches(i, j)) for i, j in pairs)
    hinges = (
        mean((apart[i, j] - u + margin * reach).clamp_min(0) for u in reaches(i, j))
        for i, j in pairs
    )
    return 1 - margin + mean(hinges) / reach, reach


def test_values_worked_by_hand():
    # Rows 0 and 1 are 1 apart and 4 and 3 from the negative: a reach of 3.5, or of the nearer 3.
    rows, labels = float64([[0.0], [1.0], [4.0]]), [0, 0, 1]
    for margin, form, hinge in [
        (0.5, "t8", 0.0),
        (0.5, "t9", 0.0),
        (0.8, "t8", (0 + 0.8) / 2 / 3.5),
        (0.8, "t9", 0.4 / 3),
    ]:
        found = compare(rows, labels, form=form, margin=margin).item()
        assert found == pytest.approx(1 - margin + hinge), (form, margin)


@pytest.mark.parametrize("labels", [LABELS, UNEQUAL], ids=["equal", "unequal"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("margin", [0.05, 0.5, 1.0])
def test_values_and_gradients_are_those_of_the_pairs_one_by_one(labels, form, margin):
    for _ in range(3):
        leaf = random_rows(labels).requires_grad_()
        expected, _ = naive(leaf, labels, form, margin)
        value, gradient = value_and_gradient(leaf, labels, form=form, margin=margin)
        torch.testing.assert_close(value, expected.detach(), **CLOSE)
        torch.testing.assert_close(gradient, torch.autograd.grad(expected, leaf)[0], **CLOSE)


def of_pairs(rows, labels, form, threshold):
    """The bound of each pair of rows as the evaluation computes it, each row a group of one."""
    members, labelled = rows[:, None], torch.tensor(labels)
    one = torch.ones(len(rows), 1, dtype=torch.float64)
    if form == "t9":
        pairs = tuple(torch.tensor(pairs_of(labels)).T)
        found = group_margin(members, one.bool(), labelled)
        return excess_bound(found, members, one, pairs, threshold)
    triples = [(i, j, n) for i, j in pairs_of(labels) for n in negatives_of(labels, i)]
    return hinge_bound(members, one, tuple(torch.tensor(triples).T), -threshold).bound


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("margin", [0.2, 0.7])
def test_it_is_the_bound_that_the_evaluation_reports_over_its_reach(form, margin):
    rows = random_rows(LABELS)
    _, reach = naive(rows, LABELS, form, margin)
    bound = of_pairs(rows, LABELS, form, -margin * reach.item()).mean()
    torch.testing.assert_close(compare(rows, LABELS, form=form, margin=margin), bound / reach)


def mean_distance_of_groups(rows, size):
    """Of the means of all disjoint pairs of groups of one class."""
    found = []
    for start in range(0, 12, 4):
        groups = list(combinations(range(start, start + 4), size))
        for one, other in product(groups, repeat=2):
            if not set(one) & set(other):
                found.append((rows[list(one)].mean(0) - rows[list(other)].mean(0)).norm())
    return mean(found)


@pytest.mark.parametrize("form", FORMS)
def test_it_bounds_the_distance_of_rows_and_of_random_groups_of_them_over_the_scale(form):
    different = torch.tensor(LABELS)[:, None] != torch.tensor(LABELS)
    for case in range(200):
        rows = random_rows(LABELS)
        margin = 0.05 + 0.95 * (case % 20) / 19
        value = compare(rows, LABELS, form=form, margin=margin)
        _, reach = naive(rows, LABELS, form, margin)
        scale = distances(rows)[different].mean()
        assert reach <= scale * (1 + 1e-12)
        for distance in [mean_distance_of_groups(rows, size) for size in (1, 2)]:
            assert distance / scale <= value + 1e-12
            assert distance / reach <= value + 1e-12


@pytest.mark.parametrize("form", FORMS)
def test_it_bounds_the_distance_of_rows_of_classes_of_any_size(form):
    for _ in range(50):
        rows = random_rows(UNEQUAL)
        _, reach = naive(rows, UNEQUAL, form, 0.5)
        distance = mean(distances(rows)[i, j] for i, j in pairs_of(UNEQUAL))
        assert distance / reach <= compare(rows, UNEQUAL, form=form) + 1e-12


@pytest.mark.parametrize("form", FORMS)
def test_more_margin_brings_the_bound_nearer_to_the_distances(form):
    for _ in range(20):
        rows = random_rows(LABELS)
        found = [compare(rows, LABELS, form=form, margin=m).item() for m in (0.01, 0.3, 0.6, 1.0)]
        assert all(more <= less + 1e-12 for less, more in zip(found, found[1:], strict=False))


def squares(between, within=0.01):
    """Two rows of each of four classes, whose places are given."""
    return float64([[x + shift, y] for x, y in between for shift in (0, within)])


CORNERS = [(0, 0), (1, 0), (0, 1), (1, 1)]
TWO_BY_TWO = [(0, 0), (0, 0.001), (1, 1), (1, 1.001)]
PAIRED = [0, 0, 1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("margin", [0.1, 0.5])
def test_the_least_loss_says_that_every_triplet_keeps_the_margin(form, margin):
    value, gradient = value_and_gradient(squares(CORNERS), PAIRED, form=form, margin=margin)
    assert value.item() == pytest.approx(1 - margin, abs=1e-12)
    assert not gradient.any()
    kept = 0
    for _ in range(100):
        rows = random_rows(LABELS)
        value, (_, reach) = (f(rows, LABELS, form=form, margin=margin) for f in (compare, naive))
        one_each = torch.ones(12, 1, dtype=torch.bool)
        m_star = group_margin(rows[:, None], one_each, torch.tensor(LABELS)).m_star
        assert value >= 1 - margin - 1e-12
        assert (value <= 1 - margin + 1e-12) == (m_star <= -margin * reach)
        kept += int(m_star <= -margin * reach)
    assert kept < 100


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("margin", [0.1, 0.5, 0.9])
def test_classes_that_lie_on_each_other_two_by_two_cost_more_than_classes_apart(form, margin):
    apart, together = (
        compare(squares(places), PAIRED, form=form, margin=margin).item()
        for places in (CORNERS, TWO_BY_TWO)
    )
    assert together > apart + 0.3 * margin


@pytest.mark.parametrize("form", FORMS)
def test_neither_a_shift_nor_the_scale_matters(form):
    rows = random_rows(LABELS)
    value, gradient = value_and_gradient(rows, LABELS, form=form)
    torch.testing.assert_close(compare(7 * rows + 3, LABELS, form=form), value)
    assert gradient.any()
    torch.testing.assert_close(gradient.sum(0), torch.zeros(3).double(), atol=1e-12, rtol=0)
    assert (gradient * rows).sum().item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("labels", [[0, 0, 0, 1, 1, 1, 2], [0, 0, 1, 1, 2, 2, 3]])
@pytest.mark.parametrize("form", FORMS)
def test_the_gradient_is_that_of_finite_differences(labels, form):
    rows = random_rows(labels).requires_grad_()
    assert torch.autograd.gradcheck(partial(compare, labels=labels, form=form), rows)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("labels", [[0, 1, 2, 3], [0, 0, 0, 0], [0]], ids=str)
def test_without_positives_or_negatives_the_loss_and_its_gradient_are_0(form, labels):
    for rows in (torch.randn(len(labels), 3), torch.ones(len(labels), 3)):
        value, gradient = value_and_gradient(rows, labels, form=form)
        assert value.item() == 0
        assert not gradient.any()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("fill", [0.0, 1e-6, 1.0, 1e4])
def test_rows_that_all_coincide_cost_1_and_have_no_gradient(form, fill):
    value, gradient = value_and_gradient(torch.full((6, 3), fill), [0, 0, 0, 1, 1, 2], form=form)
    assert value.item() == pytest.approx(1)
    assert not gradient.any()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e4])
def test_a_duplicate_of_every_row_in_another_class_has_a_finite_loss_and_gradient(form, scale):
    rows = scale * torch.randn(3, 4).repeat(2, 1)
    value, gradient = value_and_gradient(rows, [0, 0, 0, 1, 1, 1], form=form)
    assert value.isfinite()
    assert value > 1
    assert gradient.isfinite().all()


@pytest.mark.parametrize("form", FORMS)
def test_a_stack_of_losses_has_the_values_of_each(form):
    losses = [BoundLoss(form=form, margin=margin) for margin in (0.1, 0.5, 0.9)]

    def call(loss, rows):
        return loss.compare(LabelledEmbeddings(rows, torch.tensor(LABELS)))

    rows = torch.randn(3, 12, 4)
    expected = looped(losses, call)(rows)
    assert expected.unique().numel() == 3
    torch.testing.assert_close(stacked(losses, call)(rows), expected)


@pytest.mark.parametrize("form", FORMS)
def test_training_lowers_it_and_keeps_classes_apart(form):
    configuration = combined(
        ("mlp", {"width": 6}), ("mean", {}), ("bound", {"level": "both", "form": form})
    )
    points = clouds(3, 8)
    member = Member(configuration, points, np.arange(len(points)), 0, unit_length=True)
    first = member.train_epoch()
    for _ in range(30):
        last = member.train_epoch()
    assert math.isfinite(last)
    assert last < first
    embeddings = member.model.embed_all(points.take(np.arange(len(points))))
    apart, labels = distances(embeddings.double()), torch.tensor(points.labels)
    same = labels[:, None] == labels
    assert apart[same].mean() < apart[~same].mean() / 2


def test_the_loss_asks_for_groups_of_one_class():
    assert BoundLoss.needs({}) == {"positives"}


@pytest.mark.parametrize(
    ("option", "value", "is_legal"),
    [
        ("margin", 0.0, False),
        ("margin", 0.01, True),
        ("margin", 1.0, True),
        ("margin", 1.1, False),
        ("form", "t4", False),
        ("level", "classes", False),
    ],
)
def test_illegal_options_are_refused(option, value, is_legal):
    assert (catalogue.options(BoundLoss)[option].problem(value) is None) == is_legal
