"""A step stays on its device: on one that holds shapes only, any tensor of the CPU is an error."""

import numpy as np
import pytest
import torch

from tests.trainables.trials import VIEWED, clouds, configured, images
from tests.trainables.variants import must_be_named
from trainables import catalogue
from trainables.device import CPU, generators
from trainables.member import Member

ELSEWHERE = torch.device("meta")
GROUPFACE = {"encoder": {"groupface-mlp": {"width": 6, "hidden": 8, "latent": 3}}}


def programs():
    """All components that do the same whatever the values are, and need no teacher for it."""
    for slot in ("encoder", "aggregator", "loss"):
        for name in catalogue.names(slot):
            component = catalogue.load(slot, name)
            is_taught = slot == "loss" and "teacher" in component.needs({})
            if component.tensor_program and not is_taught:
                yield slot, name


def member_of(slot, name):
    component = catalogue.load(slot, name)
    options = must_be_named(component)
    needs = component.needs(options) if slot == "loss" else ()
    changes = {slot: {name: options}}
    changes |= {"views": VIEWED["views"]} if "views" in needs else {}
    changes |= GROUPFACE if "group_logits" in needs else {}
    takes_images = slot == "encoder" and component.unfit((5,))
    points = images() if takes_images else clouds()
    return Member(configured(changes), points, np.arange(100), 0, True)


@pytest.mark.parametrize(("slot", "name"), list(programs()))
def test_a_step_needs_nothing_of_the_cpu(slot, name):
    member = member_of(slot, name)
    (plan, *_) = member.begin_epoch().steps()
    views = [view.to(ELSEWHERE) for view in member.views(plan)]
    learner = member.learner.to(ELSEWHERE)
    loss = learner(views, plan.on(ELSEWHERE))
    assert loss.device == ELSEWHERE
    loss.backward()
    gradients = [weight.grad for weight in learner.parameters() if weight.grad is not None]
    assert gradients
    assert {gradient.device for gradient in gradients} == {ELSEWHERE}


def test_a_member_says_where_it_is():
    member = Member(configured(), clouds(), np.arange(100), 0, True)
    assert member.model.device == CPU
    assert member.model.aggregator_on_cpu() is member.model.aggregator
    moved = member.model.to(ELSEWHERE)
    assert moved.device == ELSEWHERE


def test_dropout_is_the_same_on_every_device():
    """Its numbers come from the CPU's generator, of which there is one everywhere."""
    assert generators(CPU) == [torch.default_generator]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_trains_what_a_cpu_trains():
    gpu = torch.device("cuda", 0)
    members = [
        Member(configured(), clouds(), np.arange(100), 0, True, device) for device in (CPU, gpu)
    ]
    losses = [[member.train_epoch() for _ in range(3)] for member in members]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    points = torch.from_numpy(clouds().points)
    one, other = (member.model.embed_all(points) for member in members)
    torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)
    again = Member(configured(), clouds(), np.arange(100), 0, True, gpu)
    again.restore(members[0].state())
    assert again.train_epoch() == pytest.approx(members[0].train_epoch(), rel=1e-4)
