"""Every combination that can be, can learn."""

from itertools import product

import numpy as np
import pytest

from tests.trainables.trials import clouds, combined, images
from trainables import catalogue
from trainables.member import Member

WIDTH = 8
LEAST = 5e-6
"""Smallest share of the largest gradient that is more than the rounding of a zero."""
POINTS = {"points": clouds(3, 8, apart=0.1), "images": images(3, 8)}


def combinations():
    """All combinations but learnable aggregators that a loss on points never looks at."""
    for encoder, aggregator in product(catalogue.names("encoder"), catalogue.names("aggregator")):
        learnable = catalogue.is_learnable(catalogue.load("aggregator", aggregator), WIDTH)
        for (loss, options), level in product(losses(), ("points", "groups", "both")):
            if not (learnable and level == "points"):
                for views in viewed(loss, options):
                    yield encoder, aggregator, (loss, {**options, "level": level}), views


def losses():
    yield from ((name, {}) for name in catalogue.names("loss"))
    yield "infonce", {"positives": "views"}
    yield "infonce", {"positives": "views", "contrast": "keys"}
    yield "infonce", {"positives": "views", "contrast": "keys_one_way"}
    yield "triplet", {"hinge": "softplus"}
    yield "triplet", {"swap": True}


def viewed(loss, options):
    needs = catalogue.load("loss", loss).needs(options)
    return catalogue.names("views") if "views" in needs else [None]


COMBINATIONS = list(combinations())


def name_of(combination):
    encoder, aggregator, (loss, options), views = combination
    return "-".join([encoder, aggregator, loss, *map(str, options.values()), views or "no views"])


def gradients(combination, unit_length=True):
    """Largest gradient of each parameter after one step, as a share of the largest of all."""
    encoder, aggregator, loss, views = combination
    configuration = combined((encoder, {"width": WIDTH}), (aggregator, {}), loss, views)
    fits = catalogue.load("encoder", encoder).unfit(POINTS["points"].shape) is None
    points = POINTS["points" if fits else "images"]
    member = Member(configuration, points, np.arange(len(points)), 0, unit_length)
    member.train_epoch()
    parameters = dict(member.model.named_parameters())
    largest = {name: float(p.grad.abs().max()) for name, p in parameters.items()}
    return {name: value / max(largest.values()) for name, value in largest.items()}


@pytest.mark.parametrize("combination", COMBINATIONS, ids=map(name_of, COMBINATIONS))
def test_every_parameter_of_every_combination_learns(combination):
    found = gradients(combination)
    assert found
    assert {name: share for name, share in found.items() if not share > LEAST} == {}


ENCODED = [
    (encoder, "mean", ("triplet", {"level": "both"}), None)
    for encoder in catalogue.names("encoder")
]


@pytest.mark.parametrize("combination", ENCODED, ids=map(name_of, ENCODED))
def test_of_any_length_all_but_the_shift_that_distances_do_not_see_learns(combination):
    *others, shift = gradients(combination, unit_length=False).items()
    assert shift[0].endswith("bias")
    assert shift[1] < LEAST
    assert [name for name, share in others if not share > LEAST] == []
