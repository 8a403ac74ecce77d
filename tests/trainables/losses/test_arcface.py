import json
import math
from functools import partial
from pathlib import Path

import pytest
import torch

from trainables import catalogue
from trainables.contracts import LabelledEmbeddings
from trainables.losses.arcface import ArcfaceLoss

ORACLE = json.loads((Path(__file__).parents[2] / "oracles" / "groupface.json").read_text())["cases"]
CASE = ORACLE["arcface_s64_m05"]
float64 = partial(torch.tensor, dtype=torch.float64)
CLOSE = {"rtol": 0, "atol": 1e-9}


def loss_of(prototypes, **options):
    loss = ArcfaceLoss(prototypes.shape[1], len(prototypes), **options).double()
    loss.prototypes.data = prototypes.clone()
    return loss


def test_the_value_and_both_gradients_agree_with_the_oracle():
    inputs, outputs = CASE["inputs"], CASE["outputs"]
    loss = loss_of(
        float64(inputs["weight_C_by_D"]), margin=inputs["margin_rad"], scale=inputs["scale"]
    )
    embeddings = float64(inputs["embeddings"]).requires_grad_()
    value = loss.compare(LabelledEmbeddings(embeddings, torch.tensor(inputs["labels"])))
    value.backward()
    torch.testing.assert_close(value.detach(), float64(outputs["loss"]), **CLOSE)
    torch.testing.assert_close(embeddings.grad, float64(outputs["grad_embeddings"]), **CLOSE)
    expected = float64(outputs["grad_weight_D_by_C"]).T
    torch.testing.assert_close(loss.prototypes.grad, expected, **CLOSE)


def naive(embeddings, prototypes, labels, margin, scale):
    terms = []
    for row, label in zip(embeddings.tolist(), labels.tolist(), strict=True):
        logits = []
        for number, prototype in enumerate(prototypes.tolist()):
            cosine = sum(a * b for a, b in zip(row, prototype, strict=True))
            cosine /= math.dist(row, [0] * len(row)) * math.dist(prototype, [0] * len(row))
            angle = math.acos(cosine)
            if number == label:
                beyond = angle > math.pi - margin
                turned = math.cos(angle + margin)
                cosine = cosine - margin * math.sin(margin) if beyond else turned
            logits.append(scale * cosine)
        terms.append(math.log(sum(map(math.exp, logits))) - logits[label])
    return sum(terms) / len(terms)


@pytest.mark.parametrize("margin", [0.0, 0.3, 1.5])
@pytest.mark.parametrize("scale", [1.0, 20.0])
def test_rows_follow_the_formula(margin, scale):
    torch.manual_seed(0)
    embeddings, prototypes = torch.randn(20, 3).double(), torch.randn(4, 3).double()
    labels = torch.arange(20) % 4
    loss = loss_of(prototypes, margin=margin, scale=scale)
    found = loss.compare(LabelledEmbeddings(embeddings, labels)).item()
    assert found == pytest.approx(naive(embeddings, prototypes, labels, margin, scale))


@pytest.mark.parametrize("direction", [1.0, -1.0])
def test_the_gradient_is_finite_where_embedding_and_prototype_are_parallel(direction):
    prototypes = torch.eye(3).double()
    embeddings = (direction * torch.eye(3).double()).requires_grad_()
    loss = loss_of(prototypes, margin=0.5)
    loss.compare(LabelledEmbeddings(embeddings, torch.arange(3))).backward()
    assert embeddings.grad.isfinite().all()
    assert loss.prototypes.grad.isfinite().all()


@pytest.mark.parametrize(
    ("option", "value", "is_legal"),
    [
        ("margin", -0.1, False),
        ("margin", 0.0, True),
        ("margin", 1.6, False),
        ("scale", 0.0, False),
        ("level", "classes", False),
    ],
)
def test_illegal_options_are_refused(option, value, is_legal):
    assert (catalogue.options(ArcfaceLoss)[option].problem(value) is None) == is_legal
