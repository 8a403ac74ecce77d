import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.trainables.trials import clouds, combined
from trainables import catalogue
from trainables.contracts import EncodedStep, LabelledEmbeddings
from trainables.losses.arcface import ArcfaceLoss
from trainables.losses.groupface import GroupfaceLoss, moved_expectation, shared_out
from trainables.member import Member

ORACLE = json.loads((Path(__file__).parents[2] / "oracles" / "groupface.json").read_text())["cases"]
float64 = partial(torch.tensor, dtype=torch.float64)
CLOSE = {"rtol": 0, "atol": 1e-9}
LABELLED = [name for name, case in ORACLE.items() if set(case["inputs"]) == {"P", "E"}]
WIDTH, CLASSES = 4, 3


def loss_of(latent, **options):
    torch.manual_seed(0)
    return GroupfaceLoss(WIDTH, CLASSES, latent, **options).double()


def step_of(logits):
    torch.manual_seed(1)
    rows = LabelledEmbeddings(
        torch.randn(len(logits), WIDTH).double(), torch.arange(len(logits)) % CLASSES
    )
    places = torch.arange(len(logits))[:, None]
    return EncodedStep(rows, rows, places, torch.ones_like(places, dtype=torch.bool), logits)


def grouping(loss, step):
    """What the latent groups add to ArcFace."""
    alone = ArcfaceLoss(WIDTH, CLASSES, level=loss.level).double()
    alone.prototypes.data = loss.prototypes.data
    return loss(step) - alone(step)


@pytest.mark.parametrize("name", LABELLED)
def test_labels_are_shared_out_as_in_the_oracle(name):
    inputs, outputs = ORACLE[name]["inputs"], ORACLE[name]["outputs"]
    found = shared_out(float64(inputs["P"]), float64(inputs["E"]))
    torch.testing.assert_close(found, float64(outputs["normalised"]), **CLOSE)
    torch.testing.assert_close(found.sum(1), torch.ones(len(found)).double())
    assert found.min() >= 0
    assert found.max() <= 2 / found.shape[1]
    assert found.argmax(1).tolist() == outputs["label"]


def test_the_network_of_the_oracle_has_its_labels():
    outputs = ORACLE["net_B6_K4"]["outputs"]
    probabilities = float64(outputs["group_prob"])
    expectation = moved_expectation(torch.zeros(4).double(), probabilities, 0.0)
    torch.testing.assert_close(expectation, float64(outputs["batch_expectation"]), **CLOSE)
    found = shared_out(probabilities, expectation)
    torch.testing.assert_close(found, float64(outputs["normalised_prob"]), **CLOSE)
    assert found.argmax(1).tolist() == outputs["self_distributed_label"]


def test_the_expectation_runs_as_in_the_oracle():
    case = ORACLE["running_expectation_ema"]
    expectation = float64(case["inputs"]["init"])
    steps = zip(
        case["inputs"]["batches"],
        case["outputs"]["ema_update_then_use"],
        case["outputs"]["labels_ema"],
        strict=True,
    )
    for batch, expected, labels in steps:
        probabilities = float64(batch)
        expectation = moved_expectation(expectation, probabilities, case["inputs"]["momentum"])
        torch.testing.assert_close(expectation, float64(expected), **CLOSE)
        assert shared_out(probabilities, expectation).argmax(1).tolist() == labels


def test_the_cross_entropy_of_one_batch_and_its_gradient_agree_with_the_oracle():
    case = ORACLE["self_grouping_loss_8x3"]
    logits = float64(case["inputs"]["logits"]).requires_grad_()
    loss = loss_of(3, weight=1.0, expectation_momentum=0.0)
    value = grouping(loss, step_of(logits))
    torch.testing.assert_close(value.detach(), float64(case["outputs"]["loss"]), **CLOSE)
    gradient = torch.autograd.grad(value, logits)[0]
    torch.testing.assert_close(gradient, float64(case["outputs"]["grad_logits"]), **CLOSE)
    torch.testing.assert_close(loss.expectation, float64(case["outputs"]["E"]), **CLOSE)


def test_the_weight_and_the_warm_up_decide_what_the_groups_add():
    torch.manual_seed(2)
    step = step_of(torch.randn(9, 5).double())
    whole = grouping(loss_of(5, weight=1.0), step)
    assert whole > 0
    torch.testing.assert_close(grouping(loss_of(5, weight=0.25), step), whole / 4)
    warming = loss_of(5, weight=1.0, warm_up=2).eval()
    found = []
    for _ in range(3):
        found.append(grouping(warming, step).item())
        assert not warming.epoch_end()
    assert found == pytest.approx([0, 0, whole.item()])


def test_evaluation_leaves_the_expectation_as_it_is():
    loss, step = loss_of(5), step_of(torch.randn(9, 5).double())
    before = loss.expectation.clone()
    loss.eval()(step)
    assert torch.equal(loss.expectation, before)
    loss.train()(step)
    assert not torch.equal(loss.expectation, before)


@pytest.mark.parametrize("assignment", ["soft", "hard"])
def test_a_member_trains_with_the_head_that_gives_the_logits(assignment):
    configuration = combined(
        ("groupface-mlp", {"width": 6, "latent": 4, "assignment": assignment}),
        ("mean", {}),
        ("groupface", {"level": "both", "scale": 8.0}),
    )
    points = clouds(3, 8)
    member = Member(configuration, points, np.arange(len(points)), 0, unit_length=True)
    first = member.train_epoch()
    for _ in range(20):
        last = member.train_epoch()
    assert last < first


@pytest.mark.parametrize(
    ("option", "value", "is_legal"),
    [
        ("weight", -0.1, False),
        ("weight", 0.0, True),
        ("expectation_momentum", 1.0, True),
        ("expectation_momentum", 1.1, False),
        ("warm_up", -1, False),
        ("scale", 0.0, False),
    ],
)
def test_illegal_options_are_refused(option, value, is_legal):
    assert (catalogue.options(GroupfaceLoss)[option].problem(value) is None) == is_legal
