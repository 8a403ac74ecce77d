import json
import math
from functools import partial
from pathlib import Path

import pytest
import torch
from pytorch_metric_learning.losses import NTXentLoss, SelfSupervisedLoss, SupConLoss

from trainables import catalogue
from trainables.contracts import LabelledEmbeddings
from trainables.losses.infonce import InfonceLoss

ORACLE = json.loads((Path(__file__).parents[2] / "oracles" / "infonce.json").read_text())["cases"]
TWO_VIEWS = ["two_view_n5_tau05", "two_view_identical_views_tau007"]
float64 = partial(torch.tensor, dtype=torch.float64)
CLOSE = {"rtol": 0, "atol": 1e-9}
CONTRASTS = ["negatives", "others", "keys", "keys_one_way"]
LABELLED = [{"contrast": "negatives"}, {"contrast": "others"}]
VIEWED = [{"positives": "views", "contrast": name} for name in CONTRASTS]


def name_of(options):
    return "-".join(options.values())


def compare(embeddings, labels, second=None, **options):
    rows = LabelledEmbeddings(embeddings, torch.tensor(labels), second)
    return InfonceLoss(**options).compare(rows)


def value_and_gradients(embeddings, labels, second=None, **options):
    leaves = [rows.detach().requires_grad_() for rows in (embeddings, second) if rows is not None]
    value = compare(leaves[0], labels, *leaves[1:], **options)
    return value.detach(), *torch.autograd.grad(value, leaves)


def random_rows(rows=12, width=5, classes=4):
    embeddings, second = torch.randn(2, rows, width, dtype=torch.float64)
    return embeddings, torch.randint(classes, (rows,)).tolist(), second


def cosines(first, second):
    return torch.stack(
        [torch.stack([a @ b / (a.norm() * b.norm()) for b in second]) for a in first]
    )


def surprise(similar, anchor, positive, among):
    """``-log exp(s_ip) / (sum over k among of exp(s_ik))``, written out."""
    return -torch.log(similar[anchor, positive].exp() / similar[anchor, among].exp().sum())


def naive(embeddings, labels, temperature, contrast):
    similar, places = cosines(embeddings, embeddings) / temperature, range(len(labels))
    of_anchors = []
    for i in places:
        others = [k for k in places if k != i]
        positives = [k for k in others if labels[k] == labels[i]]
        negatives = [k for k in others if labels[k] != labels[i]]
        among = {"others": lambda p, o=others: o, "negatives": lambda p, n=negatives: [p, *n]}
        terms = [surprise(similar, i, p, among[contrast](p)) for p in positives]
        of_anchors += [terms] if terms else []
    if contrast == "negatives":
        of_anchors = [[term] for terms in of_anchors for term in terms]
    return sum(sum(terms) / len(terms) for terms in of_anchors) / max(1, len(of_anchors))


def naive_keys(first, second, temperature, contrast):
    similar, places = cosines(first, second) / temperature, range(len(first))
    ways = {"keys": [similar, similar.T], "keys_one_way": [similar]}[contrast]
    return sum(surprise(way, i, i, places) for way in ways for i in places) / sum(map(len, ways))


def test_values_worked_by_hand():
    # Cosines: 1 between the two of class 0, 0 between the classes.
    rows, labels = float64([[1.0, 0.0], [3.0, 0.0], [0.0, 2.0]]), [0, 0, 1]
    expected = math.log(1 + math.exp(-2))
    for contrast in ("negatives", "others"):
        found = compare(rows, labels, temperature=0.5, contrast=contrast)
        assert found.item() == pytest.approx(expected)


@pytest.mark.parametrize(("contrast", "key"), [("negatives", "ntxent"), ("others", "supcon")])
def test_values_and_gradients_of_labelled_rows_agree_with_the_oracle(contrast, key):
    case = ORACLE["labels_3x3_tau007"]
    inputs, outputs = case["inputs"], case["outputs"]
    value, gradient = value_and_gradients(
        float64(inputs["embeddings"]),
        inputs["labels"],
        temperature=inputs["temperature"],
        contrast=contrast,
    )
    torch.testing.assert_close(value, float64(outputs[key]), **CLOSE)
    torch.testing.assert_close(gradient, float64(outputs[f"{key}_grad"]), **CLOSE)


def two_views(name, contrast):
    inputs = ORACLE[name]["inputs"]
    first, second = float64(inputs["view0"]), float64(inputs["view1"])
    # One label for all: which rows are positives is the views' business alone.
    return value_and_gradients(
        first,
        [0] * len(first),
        second,
        temperature=inputs["temperature"],
        positives="views",
        contrast=contrast,
    )


# With one positive for each row, all other rows are itself and the negatives.
@pytest.mark.parametrize("contrast", ["negatives", "others"])
@pytest.mark.parametrize("name", TWO_VIEWS)
def test_two_views_and_their_gradients_agree_with_the_oracle(name, contrast):
    value, *gradients = two_views(name, contrast)
    outputs = ORACLE[name]["outputs"]
    torch.testing.assert_close(value, float64(outputs["ntxent"]), **CLOSE)
    for gradient, view in zip(gradients, ("view0", "view1"), strict=True):
        torch.testing.assert_close(gradient, float64(outputs[f"grad_{view}"]), **CLOSE)


@pytest.mark.parametrize(
    ("contrast", "key"), [("keys", "infonce_symmetric"), ("keys_one_way", "infonce_query_to_key")]
)
@pytest.mark.parametrize("name", TWO_VIEWS)
def test_picking_among_keys_agrees_with_the_oracle(name, contrast, key):
    value, *_ = two_views(name, contrast)
    torch.testing.assert_close(value, float64(ORACLE[name]["outputs"][key]), **CLOSE)


@pytest.mark.parametrize("temperature", [0.05, 0.5, 5.0])
@pytest.mark.parametrize("options", LABELLED, ids=name_of)
def test_labelled_rows_follow_the_formula(options, temperature):
    rows, labels, _ = random_rows()
    found = compare(rows, labels, temperature=temperature, **options)
    expected = naive(rows, labels, temperature, options["contrast"])
    torch.testing.assert_close(found, expected, **CLOSE)


@pytest.mark.parametrize("temperature", [0.05, 0.5, 5.0])
@pytest.mark.parametrize("options", VIEWED[2:], ids=name_of)
def test_keys_and_their_gradients_follow_the_formula(options, temperature):
    first, labels, second = random_rows()
    leaves = first.clone().requires_grad_(), second.clone().requires_grad_()
    expected = naive_keys(*leaves, temperature, options["contrast"])
    found = value_and_gradients(first, labels, second, temperature=temperature, **options)
    of_formula = expected.detach(), *torch.autograd.grad(expected, leaves)
    torch.testing.assert_close(found, of_formula, **CLOSE)


@pytest.mark.parametrize(
    ("contrast", "reference"), [("negatives", NTXentLoss), ("others", SupConLoss)]
)
def test_labelled_rows_agree_with_pytorch_metric_learning(contrast, reference):
    for _ in range(5):
        rows, labels, _ = random_rows()
        leaf = rows.clone().requires_grad_()
        expected = reference(temperature=0.2)(leaf, torch.tensor(labels))
        value, gradient = value_and_gradients(rows, labels, temperature=0.2, contrast=contrast)
        torch.testing.assert_close(value, expected.detach(), **CLOSE)
        torch.testing.assert_close(gradient, torch.autograd.grad(expected, leaf)[0], **CLOSE)


def test_two_views_agree_with_pytorch_metric_learning():
    rows, labels, second = random_rows()
    expected = SelfSupervisedLoss(NTXentLoss(temperature=0.2))(rows, second)
    found = compare(rows, labels, second, temperature=0.2, **VIEWED[0])
    torch.testing.assert_close(found, expected, **CLOSE)


@pytest.mark.parametrize("options", [*LABELLED, *VIEWED], ids=name_of)
def test_the_gradient_is_that_of_finite_differences(options):
    rows, labels, second = random_rows(7, 3, 3)
    assert torch.autograd.gradcheck(
        lambda first, second: compare(first, labels, second, temperature=0.5, **options),
        (rows.requires_grad_(), second.requires_grad_()),
    )


def test_lengths_do_not_matter():
    rows, labels, _ = random_rows()
    scaled = rows * torch.rand(len(rows), 1).add(0.1)
    torch.testing.assert_close(compare(scaled, labels), compare(rows, labels))


DEGENERATE = {
    "one class": ([0, 0, 0, 0], None),
    "only singletons": ([0, 1, 2, 3], None),
    "one row": ([0], None),
    "a singleton beside a class": ([0, 0, 0, 1], None),
    "coinciding rows": ([0, 0, 1, 1], 1.0),
    "rows of nothing but zeros": ([0, 0, 1, 1], 0.0),
}


@pytest.mark.parametrize("temperature", [0.01, 0.1])
@pytest.mark.parametrize("options", [*LABELLED, *VIEWED], ids=name_of)
@pytest.mark.parametrize("case", DEGENERATE)
def test_degenerate_rows_have_a_finite_loss_and_gradient(case, options, temperature):
    labels, fill = DEGENERATE[case]
    shape = (len(labels), 3)
    first, second = torch.randn(2, *shape) if fill is None else torch.full((2, *shape), fill)
    value, *gradients = value_and_gradients(
        first,
        labels,
        second if "positives" in options else None,
        temperature=temperature,
        **options,
    )
    assert value.isfinite()
    assert all(gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize(("contrast", "loss"), [("negatives", 0.0), ("others", math.log(2))])
def test_one_class_of_coinciding_rows_costs_only_what_its_other_positives_do(contrast, loss):
    found = compare(torch.ones(3, 2), [0, 0, 0], contrast=contrast)
    assert found.item() == pytest.approx(loss, abs=1e-6)


def test_a_duplicate_in_another_class_costs_at_least_log_2():
    rows, labels = float64([[1.0, 0.0], [1.0, 0.2], [1.0, 0.0]]), [0, 0, 1]
    # Anchor 0 sees its negative nearer than its positive, anchor 1 both equally near.
    assert compare(rows, labels, temperature=0.05).item() > math.log(2)


def test_an_anchor_without_a_positive_is_left_out():
    rows, _, _ = random_rows(5)
    labels = [0, 0, 1, 1, 2]
    found = compare(rows, labels, contrast="others")
    torch.testing.assert_close(found, naive(rows, labels, 0.1, "others"), **CLOSE)


@pytest.mark.parametrize(
    ("options", "need"), [({}, "positives"), (LABELLED[0], "positives"), (VIEWED[0], "views")]
)
def test_positives_come_from_classes_or_from_views(options, need):
    assert InfonceLoss.needs(options) == {need}


@pytest.mark.parametrize("positives", ["labels", "views"])
@pytest.mark.parametrize("contrast", CONTRASTS)
def test_keys_go_with_views_only(positives, contrast):
    problems = InfonceLoss.check(positives=positives, contrast=contrast, temperature=0.1)
    refused = contrast in CONTRASTS[2:] and positives == "labels"
    text = "contrast: keys are second views; use positives: views, or another contrast"
    assert problems == [text] * refused


@pytest.mark.parametrize(
    ("option", "value", "is_legal"),
    [
        ("temperature", 0.0, False),
        ("temperature", 0.07, True),
        ("contrast", "all", False),
        ("positives", "groups", False),
    ],
)
def test_illegal_options_are_refused(option, value, is_legal):
    assert (catalogue.options(InfonceLoss)[option].problem(value) is None) == is_legal
