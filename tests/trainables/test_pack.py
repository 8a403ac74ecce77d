"""Members that are stepped together learn what each learns alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.level import IS_EVERYTHING
from tests.trainables.trials import VIEWED, clouds, configured, images
from tests.trainables.variants import float_options, must_be_named, name_of, problems, variants
from trainables import catalogue
from trainables.member import Member
from trainables.pack import Pack

ROWS = np.arange(20, 120)
STEPS = 50 if IS_EVERYTHING else 10
PER_EPOCH = 5
RATES = (1e-2, 3e-3, 1e-3)
GROUPFACE = {"encoder": {"groupface-mlp": {"width": 6, "hidden": 8, "latent": 3}}}
SMALL = {"width": 6, "channels": 4}
INITIAL = {"netvlad", "power_mean"}
"""Components with a float option that is only where a weight begins: a part of the shape."""


@pytest.fixture(autouse=True)
def double():
    """Weights, options and random numbers in float64."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def programs():
    """Of every tensor program all variants, or where that would take long the first."""
    for slot in ("encoder", "aggregator", "loss"):
        seen = set()
        for name, options in variants(slot):
            is_wanted = IS_EVERYTHING or name not in seen
            seen.add(name)
            if is_wanted and catalogue.load(slot, name).tensor_program:
                yield pytest.param(slot, name, options, id=f"{slot}-{name_of((name, options))}")


def configurations(slot, name, options):
    """One for each member, with other values of every float option and another learning rate."""
    component = catalogue.load(slot, name)
    for floats, rate in zip(float_options(component), RATES, strict=True):
        # A value of 0 may switch a part off, and so is of another shape.
        floats = {} if name in INITIAL else {key: value or 0.1 for key, value in floats.items()}
        small = {key: SMALL[key] for key in SMALL.keys() & catalogue.options(component).keys()}
        values = {**small, **must_be_named(component), **options, **floats}
        assert not problems(component, values)
        needs = component.needs(values) if slot == "loss" else ()
        changes = {slot: {name: values}}
        changes |= {"views": VIEWED["views"]} if "views" in needs else {}
        changes |= GROUPFACE if "group_logits" in needs else {}
        yield configured(changes, learning_rate=rate)


def points_for(slot, name):
    encoder = catalogue.load(slot, name) if slot == "encoder" else None
    points = images() if encoder and encoder.unfit((5,)) else clouds()
    return replace(points, points=points.points / np.float64(points.points.max()))


def members(configurations, points):
    return [Member(c, points, ROWS, seed, True) for seed, c in enumerate(configurations)]


@pytest.mark.parametrize(("slot", "name", "options"), list(programs()))
def test_many_steps_together_are_those_alone(slot, name, options):
    points = points_for(slot, name)
    alone, together = (members(configurations(slot, name, options), points) for _ in range(2))
    if slot == "loss" and "teacher" in catalogue.load(slot, name).needs(options):
        assert {member.shape for member in together} == {None}
        return
    assert len({member.shape for member in together}) == 1
    pack = Pack(together)
    for _ in range(STEPS // PER_EPOCH):
        losses = pack.train_epoch()
        assert losses == pytest.approx([member.train_epoch() for member in alone], abs=1e-6)
    for one, other in zip(alone, together, strict=True):
        expected, found = one.learner.state_dict(), other.learner.state_dict()
        for weight, value in expected.items():
            torch.testing.assert_close(found[weight], value, atol=1e-6, rtol=0, msg=weight)


def trained_together(members, epochs):
    pack = Pack(members)
    return [pack.train_epoch() for _ in range(epochs)]


def three(points=None):
    return members([configured(learning_rate=rate) for rate in RATES], points or points_for("", ""))


def test_a_member_goes_on_alone_from_where_the_pack_was():
    alone, leaving = three(), three()
    trained_together(leaving, 2)
    for member, other in zip(alone, leaving, strict=True):
        losses = [member.train_epoch() for _ in range(4)]
        assert [other.train_epoch() for _ in range(2)] == pytest.approx(losses[2:], abs=1e-9)


def test_a_pack_takes_up_members_that_have_trained_alone_for_different_times():
    alone, joining = three(), three()
    for place, member in enumerate(joining):
        for _ in range(place):
            member.train_epoch()
    losses = trained_together(joining, 2)
    for place, member in enumerate(alone):
        expected = [member.train_epoch() for _ in range(place + 2)][place:]
        assert [of_epoch[place] for of_epoch in losses] == pytest.approx(expected, abs=1e-9)


def test_a_state_taken_from_a_pack_continues_elsewhere():
    pack, elsewhere = three(), three()
    trained_together(pack, 2)
    for member, other in zip(pack, elsewhere, strict=True):
        other.restore(member.state())
    expected = trained_together(pack, 2)
    assert trained_together(elsewhere, 2) == [pytest.approx(losses) for losses in expected]


def test_a_state_is_of_the_moment_it_was_taken():
    pack = three()
    trained_together(pack, 1)
    state = pack[0].state()
    weight = state["learning"]["model.encoder.last.weight"].clone()
    trained_together(pack, 1)
    assert torch.equal(state["learning"]["model.encoder.last.weight"], weight)
    # And of no more than this member: a view would bring the whole stack into its file.
    assert weight.untyped_storage().nbytes() == weight.nbytes
