"""Every component exports, and its program computes what the model does at other sizes.

In a process of its own: shape checks have no place in a trace.
"""

import subprocess
import sys

import pytest

from tests.level import everything
from trainables import catalogue
from trainables.aggregators import library

PROGRAM = """
import io
from contextlib import redirect_stderr
from itertools import cycle

import torch
from tests.trainables.variants import must_be_named
from trainables import catalogue
from trainables.aggregators import library
from trainables.configuration import Component, Configuration, Training
from trainables.model import GroupModel
from trainables.program import ProgramError, program

SMALL = {"width": 8, "channels": 8, "hidden": 16, "iterations": 2}


def component(slot, name):
    found = catalogue.load(slot, name)
    small = {option: SMALL[option] for option in catalogue.options(found) if option in SMALL}
    return Component(name, {**small, **must_be_named(found)})


def check(encoder, aggregator, shape):
    parts = component("encoder", encoder), component("aggregator", aggregator)
    torch.manual_seed(0)
    model = GroupModel(Configuration(*parts, None, None, Training()), shape, True).eval()
    stored = io.BytesIO()
    try:
        with redirect_stderr(io.StringIO()):
            traced = program(model, shape)
    except ProgramError as error:
        print("refused", aggregator, error)
        return
    torch.export.save(traced, stored)
    stored.seek(0)
    run = torch.export.load(stored).module()
    for groups, points in [(1, 1), (2, 3), (7, 2), (3, 11)]:
        content = torch.randn(groups, points, *shape)
        mask = torch.rand(groups, points) < 0.5
        mask[:, points // 2] = True
        with torch.no_grad():
            expected = model(content, mask)
        content[~mask] = torch.nan
        torch.testing.assert_close(run(content, mask), expected, atol=1e-5, rtol=1e-5)
    print("exported", encoder, aggregator)


encoders = catalogue.names("encoder")
chains = [name for name in encoders if catalogue.load("encoder", name).is_chain]
wrapped = {"groupface": encoders, "lipschitz": chains}
assert set(wrapped) == set(catalogue.names("wrapper"))
encoders += [f"{outer}-{inner}" for outer in wrapped for inner in wrapped[outer]]
aggregators = catalogue.names("aggregator")
for name, partner in zip(encoders, cycle(aggregators)):
    check(name, partner, (3, 16, 16))
for name in aggregators:
    check("linear", name, (6,))
for lent in library.offered():
    check("linear", f"library-{lent}", (6,))
"""
REFUSED = {
    f"library-{name}"
    for name in (
        "GraphMultisetTransformer",
        "MedianAggregation",
        "QuantileAggregation",
        "SetTransformerAggregation",
    )
}
"""They look at the numbers of a request to decide what to compute."""


pytestmark = everything


@pytest.fixture(scope="module")
def told():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return [line.split(maxsplit=2) for line in done.stdout.splitlines()]


def test_every_encoder_and_wrapper_is_exported(told):
    encoders = {name for state, name, _ in told if state == "exported"}
    assert set(catalogue.names("encoder")) <= encoders
    assert {name.partition("-")[0] for name in encoders if "-" in name} == set(
        catalogue.names("wrapper")
    )


def test_every_aggregator_is_exported_but_four_of_the_library(told):
    exported = {aggregator for state, _, aggregator in told if state == "exported"}
    lent = {f"library-{name}" for name in library.offered()}
    assert exported == {*catalogue.names("aggregator"), *lent} - REFUSED
    refused = {name: why for state, name, why in told if state == "refused"}
    assert set(refused) == REFUSED
    assert all(why.startswith("GuardOnDataDependentSymNode: ") for why in refused.values())
