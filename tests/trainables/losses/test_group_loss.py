import json
import math
from functools import partial
from pathlib import Path

import pytest
import torch

from tests.trainables.variants import looped, stacked
from trainables import catalogue
from trainables.contracts import LabelledEmbeddings
from trainables.losses.group_loss import GroupLossLoss, prior_shares, replicated, similarities

ORACLE = json.loads((Path(__file__).parents[2] / "oracles" / "group_loss.json").read_text())[
    "cases"
]
FINITE = [name for name in ORACLE if name != "degenerate_constant_row"]
# Of every class all rows are anchors there, which the loss itself never allows.
OPEN = [name for name in FINITE if name != "all_anchors_T2"]
float64 = partial(torch.tensor, dtype=torch.float64)
CLOSE = {"rtol": 0, "atol": 1e-9}
LABELS = [0, 4, 4, 2, 0, 0, 2, 2, 0, 2, 4, 4]


def built(width=6, classes=5, **options):
    return GroupLossLoss(width, classes, **options).double()


def options_of(case):
    inputs = case["inputs"]
    return {
        "steps": inputs["T"],
        "temperature": inputs["temperature"],
        "anchors": inputs["anchors_per_class"],
        "zero_diagonal": inputs["zero_diagonal"],
    }


def inputs_of(case):
    """Embeddings and logits as leaves, and labels."""
    inputs = case["inputs"]
    leaves = [float64(inputs[name]).requires_grad_() for name in ("features", "logits")]
    return *leaves, torch.tensor(inputs["labels"])


def prior_of(case):
    _, logits, labels = inputs_of(case)
    anchored = torch.zeros(len(labels), dtype=torch.bool)
    anchored[case["outputs"]["labeled_idx"]] = True
    true = torch.nn.functional.one_hot(labels, logits.shape[1]).bool()
    everywhere = torch.ones(logits.shape[1], dtype=torch.bool)
    return prior_shares(logits / case["inputs"]["temperature"], true, anchored, everywhere)


@pytest.mark.parametrize("name", FINITE)
def test_similarities_and_the_trajectory_of_shares_agree_with_the_oracle(name):
    case = ORACLE[name]
    outputs = case["outputs"]
    embeddings, _, _ = inputs_of(case)
    similar = similarities(embeddings, case["inputs"]["zero_diagonal"])
    torch.testing.assert_close(similar, float64(outputs["W"]), **CLOSE)
    shares = prior_of(case)
    torch.testing.assert_close(shares, float64(outputs["prior_probs"]), **CLOSE)
    for expected in outputs["trajectory"][1:]:
        shares = replicated(similar, shares)
        torch.testing.assert_close(shares, float64(expected), **CLOSE)
    torch.testing.assert_close(shares, float64(outputs["refined_probs"]), **CLOSE)


@pytest.mark.parametrize(("weight", "key"), [(0.0, "group_loss"), (1.0, "total")])
@pytest.mark.parametrize("name", OPEN)
def test_losses_and_gradients_agree_with_the_oracle(name, weight, key):
    case = ORACLE[name]
    outputs = case["outputs"]
    embeddings, logits, labels = inputs_of(case)
    loss = built(cross_entropy_weight=weight, **options_of(case))
    value = loss.classified(embeddings, logits, labels)
    expected = outputs["group_loss" if key == "group_loss" else "total_loss"]
    torch.testing.assert_close(value.detach(), float64(expected), **CLOSE)
    gradients = torch.autograd.grad(value, (embeddings, logits))
    for gradient, of in zip(gradients, ("features", "logits"), strict=True):
        torch.testing.assert_close(gradient, float64(outputs[f"grad_{key}_{of}"]), **CLOSE)


def naive(loss, embeddings, logits, labels):
    """The formulas, one row and one class at a time."""
    rows, classes = range(len(labels)), range(logits.shape[1])
    present = [k for k in classes if loss.prior == "all" or k in labels]
    shares = []
    for i in rows:
        members = [j for j in rows if labels[j] == labels[i]]
        exponentials = {k: math.exp(logits[i, k] / loss.temperature) for k in present}
        total = sum(exponentials.values())
        is_anchor = i in members[: min(loss.anchors, len(members) - 1)]
        one_hot = {k: float(k == labels[i]) for k in classes}
        shares.append(
            one_hot if is_anchor else {k: exponentials.get(k, 0) / total for k in classes}
        )
    similar = torch.corrcoef(embeddings).clamp_min(0)
    if loss.zero_diagonal:
        similar.fill_diagonal_(0)
    for _ in range(loss.steps):
        support = [
            {k: shares[i][k] * sum(similar[i, j] * shares[j][k] for j in rows) for k in classes}
            for i in rows
        ]
        totals = [sum(support[i].values()) for i in rows]
        shares = [
            {k: support[i][k] / totals[i] for k in classes} if totals[i] > 0 else shares[i]
            for i in rows
        ]
    of_shares = -sum(math.log(shares[i][labels[i]] + 1e-12) for i in rows) / len(rows)
    of_logits = -sum(
        math.log(logits[i, labels[i]].exp() / logits[i].exp().sum()) for i in rows
    ) / len(rows)
    return loss.scaling * of_shares + loss.cross_entropy_weight * of_logits


@pytest.mark.parametrize("prior", ["all", "batch"])
@pytest.mark.parametrize("zero_diagonal", [False, True])
@pytest.mark.parametrize("labels", [LABELS, [0] * 5 + [1, 2] + [3] * 5, list(range(5))])
def test_the_loss_follows_the_formula(labels, zero_diagonal, prior):
    loss = built(
        prior=prior,
        zero_diagonal=zero_diagonal,
        steps=2,
        anchors=2,
        temperature=3.0,
        scaling=0.7,
        cross_entropy_weight=0.4,
    )
    embeddings = torch.randn(len(labels), 6, dtype=torch.float64)
    found = loss.compare(LabelledEmbeddings(embeddings, torch.tensor(labels)))
    with torch.no_grad():
        expected = naive(loss, embeddings, loss.classifier(embeddings), labels)
    torch.testing.assert_close(found.detach(), expected, **CLOSE)


def test_values_worked_by_hand():
    # Rows 0 and 1 correlate fully, row 2 with neither; the prior of open rows is even.
    embeddings, labels = float64([[0, 1, 0], [0, 2, 0], [1, -2, 1]]), torch.tensor([0, 0, 1])
    loss = built(3, 2, cross_entropy_weight=0.0)
    found = loss.classified(embeddings, torch.zeros(3, 2, dtype=torch.float64), labels)
    # Row 1 hears its anchor say class 0 and itself be of two minds: (1 + 1/2) / (1 + 1/2 + 1/2).
    assert found.item() == pytest.approx((0 - math.log(3 / 4) - math.log(1 / 2)) / 3)


@pytest.mark.parametrize("zero_diagonal", [False, True])
def test_consistency_never_falls_and_shares_sum_to_1(zero_diagonal):
    for _ in range(20):
        similar = similarities(torch.randn(9, 4, dtype=torch.float64), zero_diagonal)
        shares = torch.randn(9, 5, dtype=torch.float64).mul(3).softmax(1)
        for _ in range(10):
            after = replicated(similar, shares)
            gain = (after * (similar @ after)).sum() - (shares * (similar @ shares)).sum()
            assert gain > -1e-12
            torch.testing.assert_close(after.sum(1), torch.ones_like(after[:, 0]))
            shares = after


@pytest.mark.parametrize("zero_diagonal", [False, True])
def test_anchors_are_fixed_points(zero_diagonal):
    similar = similarities(torch.randn(9, 4, dtype=torch.float64), zero_diagonal)
    shares = torch.randn(9, 3, dtype=torch.float64).softmax(1)
    shares[::2] = float64([0, 1, 0])
    after = replicated(similar, replicated(similar, shares))
    torch.testing.assert_close(after[::2], shares[::2])


def test_a_class_never_has_all_of_its_rows_as_anchors():
    embeddings, labels = torch.randn(6, 6, dtype=torch.float64), torch.tensor([0, 0, 0, 1, 1, 2])
    logits = torch.randn(6, 5, dtype=torch.float64)
    most, beyond = (
        built(anchors=anchors, cross_entropy_weight=0.0).classified(embeddings, logits, labels)
        for anchors in (2, 100)
    )
    assert torch.equal(most, beyond)
    assert beyond > 0


CONSTANTS = [0.0, 0.1, 1.0, 1e4, -1 / 3]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("value", CONSTANTS)
def test_a_constant_row_resembles_none_and_keeps_its_prior(value, dtype):
    embeddings = torch.randn(6, 7, dtype=dtype)
    embeddings[2] = value
    similar = similarities(embeddings, zero_diagonal=False)
    assert not similar[2].any()
    assert not similar[:, 2].any()
    assert similar.diagonal().count_nonzero() == 5
    shares = torch.randn(6, 3, dtype=dtype).softmax(1)
    assert torch.equal(replicated(similar, shares)[2], shares[2])


@pytest.mark.parametrize("value", CONSTANTS)
def test_beside_a_constant_row_the_others_are_as_without_it(value):
    embeddings = torch.randn(6, 7, dtype=torch.float64)
    embeddings[5] = value
    similar = similarities(embeddings, zero_diagonal=False)
    shares = torch.randn(6, 3, dtype=torch.float64).softmax(1)
    alone = replicated(similar[:5, :5], shares[:5])
    torch.testing.assert_close(replicated(similar, shares)[:5], alone)


def test_a_constant_row_of_the_oracle_has_a_finite_loss_and_gradient():
    case = ORACLE["degenerate_constant_row"]
    embeddings, logits, labels = inputs_of(case)
    value = built(**options_of(case)).classified(embeddings, logits, labels)
    gradients = torch.autograd.grad(value, (embeddings, logits))
    assert value.isfinite()
    assert all(gradient.isfinite().all() for gradient in gradients)
    (constant,) = (i for i, row in enumerate(embeddings) if row.max() == row.min())
    assert not gradients[0][constant].any()


@pytest.mark.parametrize("prior", ["all", "batch"])
@pytest.mark.parametrize("temperature", [1e-3, 10.0])
@pytest.mark.parametrize("scale", [0.0, 1e-6, 1e4])
@pytest.mark.parametrize("labels", [[0, 0, 1, 1], [2, 2, 2, 2], [0, 1, 2, 3], [0]])
@pytest.mark.parametrize("fill", [True, False])
def test_degenerate_rows_have_a_finite_loss_and_gradients(fill, labels, scale, temperature, prior):
    rows = torch.ones(len(labels), 6) if fill else torch.randn(len(labels), 6)
    leaf = (rows * scale).requires_grad_()
    loss = GroupLossLoss(6, 5, prior=prior, temperature=temperature, zero_diagonal=True, steps=3)
    value = loss.compare(LabelledEmbeddings(leaf, torch.tensor(labels)))
    assert value.isfinite()
    for gradient in torch.autograd.grad(value, [leaf, *loss.parameters()]):
        assert gradient.isfinite().all()


def test_one_class_in_the_batch_alone_costs_nothing_with_shares_of_the_batch():
    embeddings, labels = torch.randn(4, 6, dtype=torch.float64), torch.tensor([3, 3, 3, 3])
    loss = built(prior="batch", cross_entropy_weight=0.0)
    value = loss.compare(LabelledEmbeddings(embeddings, labels))
    assert value.item() == pytest.approx(0, abs=1e-11)


def test_shares_of_the_batch_leave_other_classes_without_any():
    logits = torch.randn(3, 4, dtype=torch.float64)
    true = torch.tensor([[1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 1, 0]]).bool()
    shares = prior_shares(logits, true, torch.zeros(3, dtype=torch.bool), true.any(0))
    assert not shares[:, [1, 3]].any()
    torch.testing.assert_close(shares[:, [0, 2]], logits[:, [0, 2]].softmax(1))


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_all_that_can_learn_has_a_gradient(weight):
    loss = built(3, 3, cross_entropy_weight=weight)
    rows = torch.randn(12, 3, dtype=torch.float64).requires_grad_()
    loss.compare(LabelledEmbeddings(rows, torch.arange(12) % 3)).backward()
    assert all(leaf.grad.all() for leaf in (rows, *loss.parameters()))


@pytest.mark.parametrize("prior", ["all", "batch"])
@pytest.mark.parametrize("zero_diagonal", [False, True])
def test_the_gradient_is_that_of_finite_differences(zero_diagonal, prior):
    loss = built(prior=prior, zero_diagonal=zero_diagonal, steps=2, anchors=2)
    rows = torch.randn(12, 6, dtype=torch.float64).requires_grad_()
    labels = torch.tensor(LABELS)
    assert torch.autograd.gradcheck(
        lambda leaf: loss.compare(LabelledEmbeddings(leaf, labels)), (rows,)
    )


def test_the_same_many_times_at_once_is_the_same_one_after_the_other():
    temperatures = (2.0, 10.0, 80.0)
    losses = [GroupLossLoss(6, 5, temperature=t, prior="batch", steps=2) for t in temperatures]
    rows, labels = torch.randn(3, 12, 6), torch.tensor(LABELS).expand(3, -1)

    def call(loss, embeddings, labels):
        return loss.compare(LabelledEmbeddings(embeddings, labels))

    found, expected = stacked(losses, call)(rows, labels), looped(losses, call)(rows, labels)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("option", "value", "is_legal"),
    [
        ("steps", 0, False),
        ("temperature", 0.0, False),
        ("temperature", 1e-3, True),
        ("anchors", -1, False),
        ("anchors", 0, True),
        ("prior", "classes", False),
        ("scaling", 0.0, False),
        ("cross_entropy_weight", -0.1, False),
        ("cross_entropy_weight", 0.0, True),
    ],
)
def test_illegal_options_are_refused(option, value, is_legal):
    assert (catalogue.options(GroupLossLoss)[option].problem(value) is None) == is_legal


def test_it_needs_rows_of_one_class():
    assert GroupLossLoss.needs({}) == {"positives"}
