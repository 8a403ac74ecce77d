"""Every combination that can be, can learn: a covering choice of them, or all if asked for."""

from functools import cache
from itertools import product
from math import isfinite

import numpy as np
import pytest
import torch

from tests.level import IS_EVERYTHING
from tests.trainables.pairwise import covering
from tests.trainables.trials import clouds, combined, images
from tests.trainables.variants import must_be_named
from trainables import catalogue
from trainables.evaluation import Protocol, evaluate
from trainables.member import Member

WIDTH = 8
SMALL = {"width": WIDTH, "channels": 8}
LEAST = 1e-6
"""Smallest share of the largest gradient that is more than the rounding of a zero."""
POINTS = {"points": clouds(3, 8, apart=0.1), "images": images(3, 8)}
PROTOCOL = Protocol((1, 2), draws=1, seed=0)
LOSSES = [
    *((name, ()) for name in catalogue.names("loss")),
    ("infonce", (("positives", "views"),)),
    ("infonce", (("positives", "views"), ("contrast", "keys"))),
    ("infonce", (("positives", "views"), ("contrast", "keys_one_way"))),
    ("triplet", (("hinge", "softplus"),)),
    ("triplet", (("swap", True),)),
    ("library-MultiSimilarityLoss", ()),
    ("library-ProxyAnchorLoss-MultiSimilarityMiner", ()),
]
ENCODERS = [*catalogue.names("encoder"), "groupface-mlp", "groupface-conv4"]


@cache
def learns(slot, name, *wiring):
    return catalogue.is_learnable(catalogue.load(slot, name), *wiring)


def points_for(encoder, views=None):
    """Points that an encoder and views take."""
    parts = [("encoder", encoder), *([("views", views)] if views else [])]
    shape = POINTS["points"].shape
    fit = all(catalogue.load(slot, name).unfit(shape) is None for slot, name in parts)
    return POINTS["points" if fit else "images"]


def legal():
    """All combinations that a study may hold, with one choice of views where views are needed."""
    for encoder, aggregator, loss in product(ENCODERS, catalogue.names("aggregator"), LOSSES):
        needs = catalogue.load("loss", loss[0]).needs(dict(loss[1]))
        tells_groups = catalogue.load("encoder", encoder).tells_groups
        if "group_logits" in needs and not tells_groups:
            continue
        moves = learns("aggregator", aggregator, WIDTH)
        if not moves and not learns("encoder", encoder, points_for(encoder).shape):
            continue
        views = catalogue.names("views") if "views" in needs else [None]
        for level, seen in product(("points", "groups", "both"), views):
            if not (moves and level == "points"):
                yield encoder, aggregator, loss, level, seen


def chosen():
    return list(legal()) if IS_EVERYTHING else covering(legal())


COMBINATIONS = chosen()


def name_of(combination):
    encoder, aggregator, (loss, options), level, views = combination
    values = (str(value) for _, value in options)
    return "-".join([encoder, aggregator, loss, *values, level, views or "no views"])


def member_of(combination, unit_length=True):
    encoder, aggregator, (loss, options), level, views = combination
    component = catalogue.load("encoder", encoder)
    small = {key: SMALL[key] for key in SMALL if key in catalogue.options(component)}
    points = points_for(encoder, views)
    return Member(
        combined(
            (encoder, {**must_be_named(component), **small}),
            (aggregator, {}),
            (loss, {"level": level, **dict(options)}),
            views,
        ),
        points,
        np.arange(len(points)),
        0,
        unit_length,
    )


def gradients(member):
    """Largest gradient of each parameter after one step, as a share of the largest of all."""
    member.train_epoch()
    parameters = dict(member.model.named_parameters())
    largest = {name: float(p.grad.abs().max()) for name, p in parameters.items()}
    return {name: value / max(largest.values()) for name, value in largest.items()}


@pytest.mark.parametrize("combination", COMBINATIONS, ids=map(name_of, COMBINATIONS))
def test_every_parameter_learns_and_the_model_can_be_judged(combination):
    member = member_of(combination)
    found = gradients(member)
    assert found
    assert {name: share for name, share in found.items() if not share > LEAST} == {}
    points = points_for(combination[0], combination[4])
    embeddings = member.model.embed_all(points.take(np.arange(len(points))))
    labels = torch.tensor(points.labels)
    evaluation = evaluate(embeddings, labels, None, member.model.aggregator, PROTOCOL)
    assert all(map(isfinite, evaluation.quality.values()))
    assert evaluation.bound.get("violations", 0) == 0


def test_no_pair_of_components_is_left_out():
    of_all, of_chosen = ({tuple(c[:3]) for c in some} for some in (legal(), COMBINATIONS))
    for first, second in ((0, 1), (0, 2), (1, 2)):
        wanted, found = ({(c[first], c[second]) for c in some} for some in (of_all, of_chosen))
        assert wanted == found


ENCODED = [
    (encoder, "mean", ("triplet", ()), "both", None)
    for encoder in catalogue.names("encoder")
    if learns("encoder", encoder, points_for(encoder).shape)
]


@pytest.mark.parametrize("combination", ENCODED, ids=map(name_of, ENCODED))
def test_of_any_length_all_but_the_shift_that_distances_do_not_see_learns(combination):
    *others, shift = gradients(member_of(combination, unit_length=False)).items()
    assert shift[0].endswith("bias")
    # A shift that learned would have a share like the others', thousands of times more.
    assert shift[1] < 10 * LEAST
    assert [name for name, share in others if not share > LEAST] == []
