import json
from copy import deepcopy
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import normalize

from tests.trainables.trials import clouds, combined
from tests.trainables.variants import looped, stacked
from trainables import catalogue
from trainables.contracts import LabelledEmbeddings
from trainables.losses.smog import SmogLoss, moved_groups, nearest, spherical_means, surprise
from trainables.member import Member

ORACLE = json.loads((Path(__file__).parents[2] / "oracles" / "smog.json").read_text())["cases"]
OFFICIAL = ORACLE["official_b1_to_099"]
LIGHTLY = ORACLE["lightly_rand_init_b099_t01"]
float64 = partial(torch.tensor, dtype=torch.float64)
CLOSE = {"rtol": 0, "atol": 1e-9}


def built(width=4, classes=3, **options):
    return SmogLoss(width, classes, **{"groups": 6, "memory": 30, "predictor": 8, **options})


def random_rows(rows=10, width=4, classes=3):
    views = torch.randn(2, rows, width, dtype=torch.float64)
    return LabelledEmbeddings(views[0], torch.arange(rows) % classes, views[1])


class Fixed(nn.Module):
    """A predictor that has an answer already."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, embeddings):
        return self.answer


@pytest.mark.parametrize("step", OFFICIAL["steps"])
def test_each_piece_of_a_step_agrees_with_the_oracle(step):
    rows, predicted = (float64(step[name]).requires_grad_() for name in ("emb", "emb_pred"))
    before = float64(step["group_before"])
    own, targets = nearest(rows, before), nearest(float64(step["emb_k"]), before)
    assert own.tolist() == step["assign_q"]
    assert targets.tolist() == step["assign_k"]
    after = moved_groups(before, rows, own, step["beta_used"])
    torch.testing.assert_close(after.detach(), float64(step["group_after"]), **CLOSE)
    value = surprise(predicted, after, targets, OFFICIAL["inputs"]["temperature"])
    torch.testing.assert_close(value.detach(), float64(step["loss"]), **CLOSE)
    gradients = torch.autograd.grad(value, (rows, predicted))
    for gradient, key in zip(
        gradients, ("grad_emb_not_detached_variant", "grad_emb_pred"), strict=True
    ):
        torch.testing.assert_close(gradient, float64(step[key]), **CLOSE)


@pytest.mark.parametrize("through_groups", [True, False])
def test_consecutive_steps_agree_with_the_oracle(through_groups):
    inputs = OFFICIAL["inputs"]
    loss = built(temperature=inputs["temperature"], through_groups=through_groups).double()
    loss.groups.copy_(float64(inputs["initial_groups"]))
    for step in OFFICIAL["steps"]:
        loss.momentum.fill_(step["beta_used"])
        rows, predicted = (float64(step[name]).requires_grad_() for name in ("emb", "emb_pred"))
        loss.predictor = Fixed(predicted)
        labels = torch.zeros(len(rows), dtype=torch.int64)
        value = loss.compare(LabelledEmbeddings(rows, labels, float64(step["emb_k"])))
        torch.testing.assert_close(value.detach(), float64(step["loss"]), **CLOSE)
        torch.testing.assert_close(loss.groups, float64(step["group_after"]), **CLOSE)
        of_rows, of_predicted = torch.autograd.grad(value, (rows, predicted), allow_unused=True)
        # What scales a row has no part in the gradient: rows are scaled to unit length first.
        expected = across(float64(step["grad_emb_pred"]), predicted.detach())
        torch.testing.assert_close(of_predicted, expected, **CLOSE)
        if through_groups:
            through = float64(step["grad_emb_not_detached_variant"])
            torch.testing.assert_close(of_rows, across(through, rows.detach()), **CLOSE)
        else:
            assert step["grad_emb_released_code_is_none"]
            assert of_rows is None


def across(gradient, rows):
    """The part of the gradient across rows of unit length."""
    return gradient - (gradient * rows).sum(1, keepdim=True) * rows


@pytest.mark.parametrize("step", LIGHTLY["steps"])
def test_raw_rows_and_groups_agree_with_the_oracle_but_for_the_length_of_groups(step):
    rows, predicted = (
        float64(step[name]).requires_grad_() for name in ("x0_encoded", "x0_predicted")
    )
    before, key = float64(step["group_before"]), float64(step["x1_encoded"])
    own, targets = (nearest(view, normalize(before, dim=1)) for view in (rows, key))
    assert own.tolist() == step["assign_x0"]
    assert targets.tolist() == step["assign_x1"]
    after = moved_groups(before, rows, own, LIGHTLY["inputs"]["beta"])
    expected = normalize(float64(step["group_after"]), dim=1)
    torch.testing.assert_close(after.detach(), expected, **CLOSE)
    temperature = LIGHTLY["inputs"]["temperature"]
    value = surprise(normalize(predicted, dim=1), after, targets, temperature)
    torch.testing.assert_close(value.detach(), float64(step["loss"]), **CLOSE)
    gradients = torch.autograd.grad(value, (rows, predicted))
    for gradient, name in zip(gradients, ("x0_encoded", "x0_predicted"), strict=True):
        torch.testing.assert_close(gradient, float64(step[f"grad_{name}"]), **CLOSE)


def test_a_move_with_groups_without_rows_agrees_with_the_oracle():
    case = ORACLE["official_m_step_empty_groups"]
    inputs = case["inputs"]
    found = moved_groups(
        float64(inputs["centroids"]),
        float64(inputs["features"]),
        torch.tensor(inputs["assignments"]),
        inputs["beta"],
    )
    torch.testing.assert_close(found, float64(case["outputs"]["new_centroids"]), **CLOSE)


def test_spherical_means_agree_with_the_oracle():
    case = ORACLE["reset_spherical_kmeans_3clusters"]
    memory = float64(case["inputs"]["memory"])
    first = memory[case["inputs"]["initial_indices"]]
    found = spherical_means(memory, first, case["inputs"]["iterations"])
    torch.testing.assert_close(found, float64(case["outputs"]["centroids"]), **CLOSE)
    assert nearest(memory, found).tolist() == case["outputs"]["assignments"]


def unit(rows):
    return [row / row.norm() for row in rows]


def naive(loss, rows):
    """The formulas, one row and one group at a time: value and moved groups."""
    embeddings, keys, old = unit(rows.embeddings), unit(rows.second), list(loss.groups.clone())
    targets = own = rows.labels.tolist()
    if loss.assignment == "clusters":
        targets, own = (
            [max(range(len(old)), key=lambda j, row=row: row @ old[j]) for row in view]
            for view in (keys, embeddings)
        )
    moved = []
    for j, group in enumerate(old):
        members = [row for row, place in zip(embeddings, own, strict=True) if place == j]
        if members:
            mean = torch.stack(members).mean(0)
            group = loss.momentum * group + (1 - loss.momentum) * mean
        moved.append(group / group.norm())
    seen = moved if loss.through_groups else [group.detach() for group in moved]
    terms = []
    for row, target in zip(embeddings, targets, strict=True):
        predicted = loss.predictor(row)
        scores = [predicted / predicted.norm() @ group / loss.temperature for group in seen]
        terms.append(-torch.log(scores[target].exp() / sum(score.exp() for score in scores)))
    return torch.stack(terms).mean(), torch.stack(moved).detach()


VARIANTS = [
    {"assignment": assignment, "through_groups": through, "predictor": predictor}
    for assignment in ("clusters", "labels")
    for through in (True, False)
    for predictor in (0, 8)
]


@pytest.mark.parametrize("options", VARIANTS, ids=lambda o: "-".join(map(str, o.values())))
def test_steps_and_their_gradients_follow_the_formula(options):
    loss = built(momentum=0.6, temperature=0.3, **options).double()
    for _ in range(3):
        rows = random_rows()
        leaves = [rows.embeddings.requires_grad_(), *loss.predictor.parameters()]
        expected, moved = naive(loss, rows)
        value = loss.compare(rows)
        torch.testing.assert_close(value, expected, **CLOSE)
        torch.testing.assert_close(loss.groups, moved, **CLOSE)
        torch.testing.assert_close(
            torch.autograd.grad(value, leaves), torch.autograd.grad(expected, leaves), **CLOSE
        )


def test_a_move_worked_by_hand():
    groups, rows = float64([[1, 0], [0, -1]]), float64([[0.8, 0.6], [0, 1]])
    moved = moved_groups(groups, rows, torch.tensor([0, 0]), momentum=0.5)
    # (1, 0) / 2 + (0.4, 0.8) / 2, of unit length; no row belongs to the other.
    torch.testing.assert_close(moved, float64([[0.7, 0.4], [0, -1]]) / float64([[0.65**0.5], [1]]))


def test_targets_come_from_the_groups_before_the_move():
    # The move turns group 0 to (0, 1), past the second view; group 1 is then nearer to it.
    loss = built(2, groups=2, momentum=0.0, predictor=0).double()
    loss.groups.copy_(float64([[1, 0], [0.6, -0.8]]))
    value = loss.compare(
        LabelledEmbeddings(float64([[0, 1]]), torch.tensor([0]), float64([[1, -0.1]]))
    )
    assert loss.groups[0].tolist() == [0, 1]
    assert value.item() < 0.1  # the target is group 0, which the row has pulled to itself


def test_lengths_of_embeddings_do_not_matter():
    first, second = built().double().eval(), random_rows()
    scaled = second._replace(embeddings=second.embeddings * 7, second=second.second / 3)
    torch.testing.assert_close(first.compare(scaled), first.compare(second))


def test_the_second_view_has_no_gradient():
    rows = random_rows()
    rows.second.requires_grad_()
    rows.embeddings.requires_grad_()
    loss = built().double()
    assert torch.autograd.grad(loss.compare(rows), rows.second, allow_unused=True) == (None,)


def test_with_labels_every_class_has_a_group_and_no_memory():
    loss = built(width=5, classes=7, assignment="labels")
    assert loss.groups.shape == (7, 5)
    assert loss.memory.numel() == 0


def test_without_resets_nothing_is_remembered():
    loss = built(reset_every=0).double()
    loss.compare(random_rows())
    assert loss.memory.numel() == 0
    assert not any(loss.epoch_end() for _ in range(3))


def test_groups_begin_as_unit_vectors_in_all_directions():
    groups = built(width=3, groups=300, memory=300).groups
    torch.testing.assert_close(groups.norm(dim=1), torch.ones(300))
    assert groups.mean(0).norm() < 0.2
    assert (groups > 0).float().mean(0).sub(0.5).abs().max() < 0.1


def test_the_memory_holds_the_latest_rows_at_unit_length():
    loss = built(memory=12).double()
    seen = [random_rows(5) for _ in range(4)]
    for rows in seen:
        loss.compare(rows)
    latest = normalize(torch.cat([rows.embeddings for rows in seen])[-12:], dim=1)
    assert int(loss.written) == 20
    torch.testing.assert_close(loss.memory.roll(4, 0), latest)


def test_of_more_rows_than_it_holds_the_memory_keeps_the_last():
    loss = built(memory=6).double()
    rows = random_rows(10)
    loss.compare(rows)
    torch.testing.assert_close(loss.memory, normalize(rows.embeddings[-6:], dim=1))


def test_in_evaluation_mode_nothing_is_stored():
    loss = built().double().eval()
    before = deepcopy(loss.state_dict())
    loss.compare(random_rows())
    torch.testing.assert_close(loss.state_dict(), before)


def test_a_backward_pass_after_both_levels_have_stored_is_possible():
    loss = built().double()
    first, second = random_rows(), random_rows(6)
    for rows in (first, second):
        rows.embeddings.requires_grad_()
    (loss.compare(first) + loss.compare(second)).backward()
    assert first.embeddings.grad.all()
    assert second.embeddings.grad.all()


def test_a_reset_clusters_the_rows_that_are_remembered_only():
    loss = built(groups=2, memory=30).double()
    near = float64([[1, 0, 0, 0], [0, 1, 0, 0]]).repeat(5, 1)
    near = near + 0.01 * torch.rand(10, 4, dtype=torch.float64)
    found = set()
    for _ in range(8):
        loss.written.zero_()
        loss.compare(LabelledEmbeddings(near, torch.zeros(10, dtype=torch.int64), near))
        assert loss.epoch_end()
        torch.testing.assert_close(loss.groups.norm(dim=1), torch.ones(2, dtype=torch.float64))
        found.add(tuple(sorted(loss.groups.argmax(1).tolist())))
    assert (0, 1) in found


def test_a_reset_begins_with_random_rows():
    loss = built(groups=2, memory=10).double()
    loss.compare(random_rows())
    found = set()
    for _ in range(10):
        assert loss.epoch_end()
        found.add(str(loss.groups.round(decimals=6)))
    assert len(found) > 1


def test_a_reset_takes_ten_iterations():
    loss = built(groups=6, memory=500).double()
    loss.compare(random_rows(500))
    random = torch.get_rng_state()
    assert loss.epoch_end()
    torch.set_rng_state(random)
    first = loss.memory[torch.randperm(500)[:6]]
    ten, nine = (spherical_means(loss.memory, first, iterations) for iterations in (10, 9))
    torch.testing.assert_close(loss.groups, ten)
    assert not torch.allclose(ten, nine)


@pytest.mark.parametrize("assignment", ["clusters", "labels"])
def test_resets_come_every_few_epochs(assignment):
    loss = built(reset_every=3, assignment=assignment).double()
    loss.compare(random_rows())
    assert [loss.epoch_end() for _ in range(7)] == [False, False, True, False, False, True, False]


def test_with_fewer_rows_than_groups_there_is_no_reset():
    loss = built(groups=6).double()
    loss.compare(random_rows(5))
    before = loss.groups.clone()
    assert not loss.epoch_end()
    assert torch.equal(loss.groups, before)
    loss.compare(random_rows(1))
    assert loss.epoch_end()
    assert not torch.equal(loss.groups, before)


def test_with_labels_a_reset_leaves_the_groups_their_classes():
    loss = built(assignment="labels").double()
    loss.compare(random_rows())
    before = loss.groups.clone()
    assert loss.epoch_end()
    assert torch.equal(loss.groups, before)


def test_a_restart_from_its_state_goes_on_the_same():
    loss, rows = built(reset_every=2).double(), [random_rows() for _ in range(3)]
    loss.compare(rows[0])
    loss.epoch_end()
    restarted = built(reset_every=2).double()
    restarted.load_state_dict(loss.state_dict())
    for one in (loss, restarted):
        torch.manual_seed(1)
        one.compare(rows[1])
        assert one.epoch_end()
    assert torch.equal(loss.compare(rows[2]), restarted.compare(rows[2]))
    assert torch.equal(loss.memory, restarted.memory)


@pytest.mark.parametrize("assignment", ["clusters", "labels"])
@pytest.mark.parametrize("scale", [0.0, 1e-6, 1e4])
@pytest.mark.parametrize("rows", [1, 4])
def test_degenerate_rows_have_a_finite_loss_gradients_and_groups(rows, scale, assignment):
    loss = built(assignment=assignment, momentum=0.0, temperature=0.01)
    leaf = torch.full((rows, 4), scale).requires_grad_()
    labels = torch.zeros(rows, dtype=torch.int64)
    value = loss.compare(LabelledEmbeddings(leaf, labels, leaf.detach()))
    assert value.isfinite()
    for gradient in torch.autograd.grad(value, [leaf, *loss.parameters()]):
        assert gradient.isfinite().all()
    loss.epoch_end()
    assert loss.groups.isfinite().all()


def test_all_that_can_learn_has_a_gradient():
    loss = built(predictor=4).double()
    rows = random_rows()
    loss.compare(rows._replace(embeddings=rows.embeddings.requires_grad_())).backward()
    assert all(leaf.grad.any() for leaf in (rows.embeddings, *loss.parameters()))


@pytest.mark.parametrize("assignment", ["clusters", "labels"])
def test_many_at_once_step_and_store_the_same_as_one_after_the_other(assignment):
    pack = [built(momentum=m, assignment=assignment, memory=12) for m in (0.5, 0.9, 0.99)]
    views = torch.randn(2, 3, 2, 5, 4)
    labels = (torch.arange(5) % 3).expand(3, -1)

    def call(loss, views, labels):
        value = loss.compare(LabelledEmbeddings(views[0], labels, views[1]))
        return torch.stack([value, loss.groups.sum(), loss.memory.sum(), loss.written.float()])

    alone = deepcopy(pack)
    for of_step in views:
        together = stacked(pack, call)(of_step, labels)
        expected = looped(pack, call)(of_step, labels)
        torch.testing.assert_close(together, expected)
    assert not torch.equal(pack[0].groups, alone[0].groups)


def test_a_member_trains_with_it_and_its_teacher():
    loss = "smog", {"level": "both", "groups": 4, "memory": 64, "predictor": 8}
    configuration = combined(("mlp", {"width": 6}), ("mean", {}), loss, "noise")
    points = clouds(3, 8)
    member = Member(configuration, points, np.arange(len(points)), 0, unit_length=True)
    losses = [member.train_epoch() for _ in range(4)]
    assert all(np.isfinite(losses))


@pytest.mark.parametrize(
    ("options", "is_refused"),
    [
        ({"memory": 5}, True),
        ({"memory": 6}, False),
        ({"memory": 5, "assignment": "labels"}, False),
        ({"memory": 5, "reset_every": 0}, False),
    ],
)
def test_a_memory_that_could_never_be_clustered_is_refused(options, is_refused):
    defaults = {"groups": 6, "assignment": "clusters", "reset_every": 1}
    problems = SmogLoss.check(**{**defaults, **options}, momentum=0.9)
    assert problems == ["memory: must be at least 6, as many as groups, got 5"] * is_refused


@pytest.mark.parametrize(
    ("option", "value", "is_legal"),
    [
        ("groups", 1, False),
        ("groups", 2, True),
        ("temperature", 0.0, False),
        ("momentum", 1.0, False),
        ("momentum", 0.0, True),
        ("teacher_momentum", 1.0, True),
        ("teacher_momentum", 1.1, False),
        ("assignment", "classes", False),
        ("reset_every", 0, True),
        ("reset_every", -1, False),
        ("memory", 1, False),
        ("predictor", 0, True),
        ("predictor", -1, False),
    ],
)
def test_illegal_options_are_refused(option, value, is_legal):
    assert (catalogue.options(SmogLoss)[option].problem(value) is None) == is_legal


def test_it_needs_views_and_a_teacher():
    assert SmogLoss.needs({}) == {"views", "teacher"}
    assert built(teacher_momentum=0.97).teacher_momentum.item() == pytest.approx(0.97)
