import json
from functools import partial
from itertools import product
from pathlib import Path

import pytest
import torch
from pytorch_metric_learning import distances, losses, reducers
from torch.func import functional_call, vmap
from torch.nn.functional import normalize

from trainables import catalogue
from trainables.contracts import LabelledEmbeddings
from trainables.losses import contrastive as module
from trainables.losses.contrastive import ContrastiveLoss

ORACLE = json.loads((Path(__file__).parents[2] / "oracles" / "infonce.json").read_text())["cases"]
CASE = ORACLE["contrastive_pairs_norm_pm0_nm1"]
float64 = partial(torch.tensor, dtype=torch.float64)
CLOSE = {"rtol": 0, "atol": 1e-9}
AVERAGES = ["active", "all"]
MARGINS = [(0.0, 1.0), (0.5, 3.0), (2.0, 2.5), (0.0, 0.01), (9.0, 20.0)]


def compare(embeddings, labels, **options):
    return ContrastiveLoss(**options).compare(LabelledEmbeddings(embeddings, torch.tensor(labels)))


def value_and_gradient(embeddings, labels, **options):
    leaf = embeddings.detach().requires_grad_()
    value = compare(leaf, labels, **options)
    return value.detach(), torch.autograd.grad(value, leaf)[0]


def random_rows(rows=24, width=5, classes=4):
    embeddings = torch.randn(rows, width, dtype=torch.float64)
    return embeddings, torch.randint(classes, (rows,)).tolist()


def options_of(margins, average):
    return {"positive_margin": margins[0], "negative_margin": margins[1], "average": average}


def oracle(average):
    """Loss and gradient at the embeddings of the case."""
    inputs = CASE["inputs"]
    leaf = float64(inputs["embeddings"]).requires_grad_()
    rows = normalize(leaf, dim=1) if inputs["normalize"] else leaf
    options = options_of((inputs["pos_margin"], inputs["neg_margin"]), average)
    value = compare(rows, inputs["labels"], **options)
    return value.detach(), torch.autograd.grad(value, leaf)[0]


def naive(embeddings, labels, positive_margin, negative_margin, average):
    """The hinges of all pairs, one by one."""
    within, across = [], []
    for i, j in product(range(len(labels)), repeat=2):
        apart = (embeddings[i] - embeddings[j]).norm()
        if labels[i] != labels[j]:
            across.append((negative_margin - apart).clamp_min(0))
        elif i != j:
            within.append((apart - positive_margin).clamp_min(0))
    total = 0.0
    for hinges in (within, across):
        counted = [h for h in hinges if h > 0] if average == "active" else hinges
        total += sum(counted) / max(1, len(counted))
    return total


def test_pairs_worked_by_hand():
    # Within class 0 the distances are 1, 2 and 3; the row of class 1 is 1.5, 0.5 and 1.5 away.
    rows, labels = float64([[0.0], [1.0], [3.0], [1.5]]), [0, 0, 0, 1]
    options = {"positive_margin": 0.5, "negative_margin": 1.0}
    # Hinges 0.5, 1.5 and 2.5 within, and 0, 0.5 and 0 across.
    assert compare(rows, labels, average="active", **options).item() == 1.5 + 0.5
    assert compare(rows, labels, average="all", **options).item() == pytest.approx(1.5 + 0.5 / 3)


def test_the_mean_over_active_pairs_agrees_with_the_oracle():
    value, gradient = oracle("active")
    torch.testing.assert_close(value, float64(CASE["outputs"]["loss"]), **CLOSE)
    torch.testing.assert_close(gradient, float64(CASE["outputs"]["grad"]), **CLOSE)


def test_the_mean_over_all_pairs_agrees_with_the_oracle():
    outputs = CASE["outputs"]
    expected = outputs["mean_over_all_pos_pairs"] + outputs["mean_over_all_neg_pairs"]
    torch.testing.assert_close(oracle("all")[0], float64(expected), **CLOSE)


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("margins", MARGINS)
def test_values_and_gradients_follow_the_formula(margins, average):
    rows, labels = random_rows()
    options = options_of(margins, average)
    leaf = rows.clone().requires_grad_()
    expected = naive(leaf, labels, **options)
    value, gradient = value_and_gradient(rows, labels, **options)
    torch.testing.assert_close(value, expected.detach(), **CLOSE)
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, leaf)[0], **CLOSE)


@pytest.fixture
def many(monkeypatch):
    """Takes a few rows for many: distances by products, of some rows at a time."""
    monkeypatch.setattr(module, "FEW", 0)
    monkeypatch.setattr(module, "TILE", 7 * 24)


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("margins", MARGINS)
def test_many_rows_have_the_values_and_gradients_of_few(many, margins, average):
    rows, labels = random_rows()
    rows[5:9] = rows[:4]
    options = options_of(margins, average)
    found = value_and_gradient(rows, labels, **options)
    leaf = rows.clone().requires_grad_()
    expected = naive(leaf, labels, **options)
    (gradient,) = torch.autograd.grad(expected, leaf)
    # A row of zero length has no derivative: the formula says not a number, or nothing.
    torch.testing.assert_close(found, (expected.detach(), gradient.nan_to_num(0)), **CLOSE)
    in_single = value_and_gradient(rows.float(), labels, **options)
    torch.testing.assert_close(in_single, tuple(part.float() for part in found))


@pytest.mark.parametrize("near", [1e-7, 1e-5, 1e-4, 1e-3])
@pytest.mark.parametrize("few", [True, False])
def test_rows_that_nearly_coincide_pull_as_in_double_precision_or_not_at_all(
    few, near, monkeypatch
):
    monkeypatch.setattr(module, "FEW", 24 if few else 0)
    rows, labels = torch.randn(24, 5), [0, 1, 2, 3] * 6
    rows[4:8] = rows[:4] + near * torch.randn(4, 5)
    options = {"positive_margin": 0.0, "negative_margin": 0.01}
    _, found = value_and_gradient(rows, labels, **options)
    _, exact = value_and_gradient(rows.double(), labels, **options)
    # Of a pair the pull is a unit vector: a nearer one has none, in either.
    torch.testing.assert_close(found.double(), exact, rtol=0, atol=0.02 * exact.abs().max().item())


def test_coinciding_rows_among_many_do_not_pull(many):
    rows, labels = torch.randn(4, 3).repeat(6, 1), [0, 1, 2, 3] * 3 + [1, 2, 3, 0] * 3
    loss = partial(compare, labels=labels, positive_margin=0.0, negative_margin=1e-3)
    leaf = rows.requires_grad_()
    value = loss(leaf)
    (gradient,) = torch.autograd.grad(value, leaf)
    # A class holds one point six times and the one before it as often.
    far = [(rows[i] - rows[i - 1]).norm().item() for i in range(4)]
    assert value.item() == pytest.approx(sum(far) / 4 + 1e-3, rel=1e-6)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("average", AVERAGES)
def test_many_rows_of_members_are_compared_together(many, average):
    rows = torch.stack([random_rows()[0] for _ in range(3)]).requires_grad_()
    labels = torch.stack([torch.tensor(random_rows()[1]) for _ in range(3)])
    margins = torch.tensor([0.1, 0.2, 0.4], dtype=torch.float64)
    loss = ContrastiveLoss(negative_margin=2.0, average=average)

    def of_member(rows, labels, margin):
        options = {"positive_margin": margin}
        return functional_call(loss, options, (rows, labels))

    loss.forward = lambda rows, labels: loss.compare(LabelledEmbeddings(rows, labels))
    together = vmap(of_member)(rows, labels, margins)
    (gradient,) = torch.autograd.grad(together.sum(), rows)
    alone = [of_member(*member) for member in zip(rows, labels, margins, strict=True)]
    torch.testing.assert_close(together, torch.stack(alone))
    torch.testing.assert_close(gradient, torch.autograd.grad(sum(alone), rows)[0])


PML_REDUCERS = {"active": reducers.AvgNonZeroReducer, "all": reducers.MeanReducer}


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("margins", MARGINS)
def test_values_and_gradients_agree_with_pytorch_metric_learning(margins, average):
    distance = distances.LpDistance(normalize_embeddings=False)
    reference = losses.ContrastiveLoss(*margins, distance=distance, reducer=PML_REDUCERS[average]())
    for _ in range(5):
        rows, labels = random_rows()
        leaf = rows.clone().requires_grad_()
        expected = reference(leaf, torch.tensor(labels))
        value, gradient = value_and_gradient(rows, labels, **options_of(margins, average))
        torch.testing.assert_close(value, expected.detach(), **CLOSE)
        torch.testing.assert_close(gradient, torch.autograd.grad(expected, leaf)[0], **CLOSE)


@pytest.mark.parametrize("average", AVERAGES)
def test_the_gradient_is_that_of_finite_differences(average):
    rows, labels = random_rows(10, 3, 3)
    loss = partial(compare, labels=labels, **options_of((0.5, 2.0), average))
    assert torch.autograd.gradcheck(loss, rows.requires_grad_())


def test_a_loss_of_0_bounds_the_margin_of_the_triplets():
    # Within classes 1 apart, across them at least 4: m* = 1 - 4.
    rows, labels = float64([[0.0], [1.0], [5.0], [6.0]]), [0, 0, 1, 1]
    assert compare(rows, labels, positive_margin=1.0, negative_margin=4.0).item() == 0
    assert compare(rows, labels, positive_margin=0.9, negative_margin=4.0).item() > 0
    assert compare(rows, labels, positive_margin=1.0, negative_margin=4.1).item() > 0


def test_a_shift_of_all_rows_does_not_matter_even_far_from_the_origin():
    rows, labels = random_rows()
    exact = (64 * rows).round().float() / 64  # so that shifting does not round
    found = value_and_gradient(exact + 1024, labels)
    torch.testing.assert_close(found, value_and_gradient(exact, labels), rtol=0, atol=0)


def test_a_duplicate_in_another_class_costs_the_negative_margin():
    rows, labels = float64([[0.0, 0.0], [0.0, 0.0], [9.0, 0.0]]), [0, 1, 2]
    value, gradient = value_and_gradient(rows, labels, negative_margin=0.5)
    assert value.item() == 0.5
    assert not gradient.any()


DEGENERATE = {
    "one class": ([0, 0, 0, 0], None),
    "only singletons": ([0, 1, 2, 3], None),
    "one row": ([0], None),
    "a singleton beside a class": ([0, 0, 0, 1], None),
    "coinciding rows": ([0, 0, 1, 1], 1.0),
    "rows of nothing but zeros": ([0, 0, 1, 1], 0.0),
}


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("case", DEGENERATE)
def test_degenerate_rows_have_a_finite_loss_and_gradient(case, average):
    labels, fill = DEGENERATE[case]
    rows = torch.randn(len(labels), 3) if fill is None else torch.full((len(labels), 3), fill)
    options = options_of((0.1, 2.0), average)
    value, gradient = value_and_gradient(rows, labels, **options)
    assert gradient.isfinite().all()
    expected = naive(rows, labels, **options)
    torch.testing.assert_close(value, torch.as_tensor(expected, dtype=value.dtype))


def test_the_loss_asks_for_groups_of_one_class():
    assert ContrastiveLoss.needs({}) == {"positives"}


@pytest.mark.parametrize(
    ("positive", "negative", "is_refused"), [(0.0, 1.0, False), (0.5, 0.5, True), (0.5, 0.3, True)]
)
def test_pairs_of_one_class_must_be_nearer_than_those_of_two(positive, negative, is_refused):
    problems = ContrastiveLoss.check(positive_margin=positive, negative_margin=negative)
    text = f"positive_margin: must be below negative_margin, got {positive} and {negative}"
    assert problems == [text] * is_refused


@pytest.mark.parametrize(
    ("option", "value", "is_legal"),
    [
        ("positive_margin", 0.0, True),
        ("positive_margin", -0.1, False),
        ("negative_margin", 0.0, False),
        ("negative_margin", 0.1, True),
        ("average", "none", False),
        ("level", "classes", False),
    ],
)
def test_illegal_options_are_refused(option, value, is_legal):
    assert (catalogue.options(ContrastiveLoss)[option].problem(value) is None) == is_legal
