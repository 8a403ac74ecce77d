"""Losses and aggregators are graphs without a break; shape checks, which break them, stay away."""

import subprocess
import sys

from tests.level import everything
from trainables import catalogue

PROGRAM = """
from copy import deepcopy

import torch
from tests.level import IS_EVERYTHING
from tests.trainables.variants import built, name_of, variants
from trainables import catalogue
from trainables.contracts import EncodedStep, LabelledEmbeddings

WIDTH = 6
torch.manual_seed(0)
mask = torch.tensor([[True, True, False], [True, False, True], [True] * 3, [False, False, True]])


def chosen(slot):
    # By default the first of each component.
    found = [one for one in variants(slot) if one[1].get("level", "groups") == "groups"]
    if IS_EVERYTHING:
        return found
    needed = {}
    for name, options in found:
        needed.setdefault(name, (name, options))
    return needed.values()


def leaf(*shape):
    return torch.randn(*shape, requires_grad=True)


def check(component, inputs, leaves, name):
    # A copy: what one call stores must not change the other.
    compiled = torch.compile(deepcopy(component), fullgraph=True, backend="aot_eager")
    results = [called(*inputs) for called in (component, compiled)]
    gradients = [torch.autograd.grad(result.square().sum(), leaves) for result in results]
    torch.testing.assert_close(*results)
    torch.testing.assert_close(*gradients)
    torch.compiler.reset()
    print(name)


for variant in chosen("aggregator"):
    embeddings = leaf(4, 3, WIDTH)
    aggregator = catalogue.load("aggregator", variant[0])(WIDTH, **variant[1])
    check(aggregator, [embeddings, mask], [embeddings], name_of(variant))
for variant in chosen("loss"):
    embeddings, second = leaf(8, WIDTH), leaf(8, WIDTH)
    groups = LabelledEmbeddings(embeddings, torch.arange(8) // 2, second)
    places = torch.zeros_like(mask, dtype=torch.int64)
    step = EncodedStep(groups, groups, places, mask, torch.randn(8, 3))
    leaves = [embeddings, second] if variant[1].get("positives") == "views" else [embeddings]
    loss = built("loss", *variant, width=WIDTH, classes=4, latent=3)
    check(loss, [step], leaves, name_of(variant))
"""


@everything
def test_losses_and_aggregators_compile_into_one_graph_and_compute_the_same():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    compiled = {name.split("-")[0] for name in done.stdout.split()}
    assert compiled == {*catalogue.names("aggregator"), *catalogue.names("loss")}
