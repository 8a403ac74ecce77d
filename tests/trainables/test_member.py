import io

import numpy as np
import pytest
import torch

from tests.trainables.trials import (
    BATCH,
    CONVOLUTIONAL,
    VIEWED,
    clouds,
    configured,
    images,
    same,
)
from trainables.member import Member, TrainingError
from trainables.sampling import GroupSampler

ROWS = np.arange(20, 120)
HARDEST = {"aggregator": {"power_mean": {}}, "loss": {"triplet": {"mining": "hard"}}}
KINDS = {
    "dropout and attention": ({}, {}),
    "augmented views": (VIEWED, {}),
    "disjoint views": (VIEWED, {"group_views": "disjoint"}),
    "power mean": (HARDEST, {}),
    "batch normalisation": (CONVOLUTIONAL, {}),
}


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def member_of(kind="dropout and attention", seed=1, points=None, **training):
    changes, options = KINDS[kind]
    points = points or (images() if kind == "batch normalisation" else clouds())
    return Member(configured(changes, **{**options, **training}), points, ROWS, seed, True)


def trained(member, epochs):
    losses = [member.train_epoch() for _ in range(epochs)]
    return losses, snapshot(member)


def snapshot(member):
    """A copy of everything the member is, through a file that may hold only plain values."""
    file = io.BytesIO()
    torch.save(member.state(), file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def weights(member):
    return {name: value.clone() for name, value in member.model.state_dict().items()}


def test_the_seed_decides_everything(kind):
    assert same(trained(member_of(kind), 3), trained(member_of(kind), 3))


def test_another_seed_is_another_training(kind):
    one, other = member_of(kind, seed=1), member_of(kind, seed=2)
    assert not same(weights(one), weights(other))
    assert one.train_epoch() != other.train_epoch()


def test_a_member_trains_the_same_beside_others(kind):
    alone = trained(member_of(kind), 3)
    member, other, losses = member_of(kind), member_of(kind, seed=2), []
    for _ in range(3):
        other.train_epoch()
        torch.rand(5)
        losses.append(member.train_epoch())
    assert same((losses, snapshot(member)), alone)


def test_a_member_leaves_global_randomness_as_it_was(kind):
    before = torch.get_rng_state()
    member_of(kind).train_epoch()
    assert torch.equal(torch.get_rng_state(), before)


def test_a_restart_continues_exactly_where_the_state_was_taken(kind):
    uninterrupted = trained(member_of(kind), 4)
    first = member_of(kind)
    losses, state = trained(first, 2)
    second = member_of(kind)
    second.restore(state)
    assert second.epochs == 2
    more, end = trained(second, 2)
    assert same((losses + more, end), uninterrupted)


def test_a_restart_forgets_what_came_before_it():
    member = member_of(seed=1)
    state = trained(member, 1)[1]
    other = member_of(seed=2)
    trained(other, 2)
    other.restore(state)
    assert same(trained(other, 2), trained(member, 2))


def test_an_epoch_trains_even_after_an_evaluation(kind):
    evaluated = member_of(kind)
    evaluated.model.eval()
    assert same(trained(evaluated, 2), trained(member_of(kind), 2))


def test_epochs_are_counted():
    member = member_of()
    assert member.epochs == 0
    trained(member, 3)
    assert member.epochs == 3


def test_training_lowers_the_loss(kind):
    losses, _ = trained(member_of(kind), 15)
    assert losses[-1] < losses[0]


def test_every_learnable_weight_moves(kind):
    member = member_of(kind)
    before = weights(member)
    member.train_epoch()
    for name, parameter in member.model.named_parameters():
        assert not torch.equal(parameter, before[name])


def test_points_outside_the_training_part_are_never_looked_at():
    points = clouds()
    spoiled = points.points.copy()
    spoiled[:20] = spoiled[120:] = np.inf
    object.__setattr__(points, "points", spoiled)
    assert same(trained(member_of(points=points), 3), trained(member_of(), 3))


def test_a_loss_that_is_not_a_number_ends_the_training():
    member = member_of(learning_rate=1e38)
    with pytest.raises(TrainingError, match=r"^the loss became nan in epoch 1$"):
        member.train_epoch()


def test_more_points_than_a_class_has_are_refused():
    with pytest.raises(ValueError, match="group_size"):
        member_of(group_size=11)


def plan_of(seed=0):
    labels = clouds().labels[ROWS]
    generator = torch.Generator().manual_seed(seed)
    plan = GroupSampler(labels, None, **BATCH).epoch(generator).steps()[0]
    return plan._replace(rows=torch.tensor(ROWS)[plan.rows])


def test_a_step_holds_the_embeddings_of_its_points_and_groups():
    member, plan = member_of(), plan_of()
    member.model.eval()
    step = member.encode(plan)
    points = clouds().take(plan.rows)
    expected = member.model.embed(points).embedding
    torch.testing.assert_close(step.points.embeddings, expected)
    torch.testing.assert_close(
        step.groups.embeddings, member.model(points[plan.members], plan.mask)
    )
    assert torch.equal(step.points.labels, torch.tensor(clouds().labels[plan.rows]))
    assert torch.equal(step.groups.labels, plan.group_labels)
    assert step.points.second is None
    assert step.groups.second is None
    assert same((step.members, step.mask), (plan.members, plan.mask))


def test_augmented_views_pair_every_point_and_group_with_itself_seen_anew():
    member, plan = member_of("augmented views"), plan_of()
    member.model.eval()
    step = member.encode(plan)
    for rows, count in ((step.points, 18), (step.groups, 6)):
        assert rows.embeddings.shape == rows.second.shape == (count, 6)
        assert len(rows.labels) == count
        apart = torch.cdist(rows.embeddings, rows.second)
        assert 0 < apart.diagonal().mean() < apart.mean()


def test_disjoint_views_pair_two_groups_of_one_class():
    plan = plan_of()
    steps = {}
    for kind in ("augmented views", "disjoint views"):
        member = member_of(kind)
        member.model.eval()
        steps[kind] = member.encode(plan)
    augmented, disjoint = steps["augmented views"].groups, steps["disjoint views"].groups
    # Two groups a class, ordered class by class.
    torch.testing.assert_close(disjoint.embeddings, augmented.embeddings[0::2])
    torch.testing.assert_close(disjoint.second, augmented.second[1::2])
    assert torch.equal(disjoint.labels, augmented.labels[0::2])
    assert same(steps["disjoint views"].points, steps["augmented views"].points)


def test_the_first_half_of_a_classs_groups_is_paired_with_the_second():
    labels = clouds().labels[ROWS]
    options = {**BATCH, "groups_per_class": 4, "group_size": 2}
    plan = GroupSampler(labels, None, **options).epoch(torch.Generator()).steps()[0]
    member = member_of("disjoint views", groups_per_class=4, group_size=2)
    groups = member.encode(plan).groups
    classes = plan.group_labels[::4]
    assert torch.equal(groups.labels, classes.repeat_interleave(2))
    assert groups.embeddings.shape == groups.second.shape == (6, 6)


def test_half_precision_is_that_of_the_encoder_alone():
    whole, half = (
        Member(configured(precision=precision), clouds(), np.arange(100), 0, True)
        for precision in ("float32", "bfloat16")
    )
    plan = whole.begin_epoch().steps()[0]
    one, other = (member.learner.eval() and member.encode(plan) for member in (whole, half))
    assert other.points.embeddings.dtype == other.groups.embeddings.dtype == torch.float32
    assert not other.points.embeddings.equal(one.points.embeddings)
    torch.testing.assert_close(other.groups.embeddings, one.groups.embeddings, rtol=0, atol=0.02)
    losses = [half.train_epoch() for _ in range(5)]
    assert losses[0] == pytest.approx(whole.train_epoch(), rel=0.05)
    assert losses[-1] < losses[0]
    assert {weight.dtype for weight in half.learner.parameters()} == {torch.float32}
