import subprocess
import sys

import pytest
import torch
from torch import nn

from trainables.adamw import AdamW
from trainables.stacked_adamw import StackedAdamW

SETTINGS = [(0.01, 0.0), (0.003, 0.1), (0.3, 0.01)]
TRAINING = """
import sys
from tests.trainables.trials import clouds, configured
import numpy
from trainables.member import Member
from trainables.pack import Pack
members = [Member(configured({}), clouds(), numpy.arange(20, 120), 1, True) for _ in range(2)]
members[0].train_epoch()
Pack(members).train_epoch()
print("torch._dynamo" in sys.modules)
"""


def weights(seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return [
        nn.Parameter(torch.randn(shape, generator=generator, dtype=dtype))
        for shape in [(7, 5), (5,), ()]
    ]


def gradients(step, is_partial=False):
    """The same for everyone; every second step may leave the middle one out."""
    generator = torch.Generator().manual_seed(1000 + step)
    found = [torch.randn(shape, generator=generator) for shape in [(7, 5), (5,), ()]]
    if is_partial and step % 2:
        found[1] = None
    return found


def assign(parameters, found):
    for parameter, gradient in zip(parameters, found, strict=True):
        parameter.grad = None if gradient is None else gradient.to(parameter.dtype)


@pytest.mark.parametrize(("rate", "decay"), SETTINGS)
@pytest.mark.parametrize("is_partial", [False, True])
def test_it_steps_as_torch_does(rate, decay, is_partial):
    ours, theirs = weights(), weights()
    optimizer = AdamW(ours, rate, decay)
    reference = torch.optim.AdamW(theirs, lr=rate, weight_decay=decay, fused=True)
    for step in range(50):
        assign(ours, gradients(step, is_partial))
        assign(theirs, gradients(step, is_partial))
        optimizer.step()
        reference.step()
        for own, other in zip(ours, theirs, strict=True):
            assert torch.equal(own, other)


def test_a_stack_steps_as_torch_does():
    members = [weights(seed, torch.float64) for seed in range(len(SETTINGS))]
    theirs = [weights(seed, torch.float64) for seed in range(len(SETTINGS))]
    stack = StackedAdamW([AdamW(w, *s) for w, s in zip(members, SETTINGS, strict=True)])
    references = [
        torch.optim.AdamW(w, lr=rate, weight_decay=decay)
        for w, (rate, decay) in zip(theirs, SETTINGS, strict=True)
    ]
    for step in range(50):
        found = [gradients(3 * step + place) for place in range(len(SETTINGS))]
        stack.step([torch.stack(of_weight).double() for of_weight in zip(*found, strict=True)])
        for parameters, of_member, reference in zip(theirs, found, references, strict=True):
            assign(parameters, of_member)
            reference.step()
    for own, other in zip(members, theirs, strict=True):
        for weight, reference in zip(own, other, strict=True):
            torch.testing.assert_close(weight, reference, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("size", [0.0, 1e-20, 1e-16, 1e-12, 1e-8])
def test_a_stack_steps_as_torch_does_by_gradients_whose_squares_hardly_are_numbers(size):
    own, theirs = weights(), weights()
    stack = StackedAdamW([AdamW(own, 0.01, 0.1)])
    reference = torch.optim.AdamW(theirs, lr=0.01, weight_decay=0.1)
    for step in range(50):
        small = [gradient * size for gradient in gradients(step)]
        stack.step([gradient[None] for gradient in small])
        assign(theirs, small)
        reference.step()
    for weight, expected in zip(own, theirs, strict=True):
        torch.testing.assert_close(weight, expected)


def test_it_continues_where_its_state_was_taken():
    whole, parted = weights(), weights()
    optimizer, begun = AdamW(whole, 0.01, 0.1), AdamW(parted, 0.01, 0.1)
    for step in range(5):
        for parameters, each in ((whole, optimizer), (parted, begun)):
            assign(parameters, gradients(step))
            each.step()
    continued = AdamW(parted, 0.01, 0.1)
    continued.restore(begun.state)
    kept = [tensor.clone() for tensor in begun.state["first"]]
    for step in range(5, 10):
        for parameters, each in ((whole, optimizer), (parted, continued)):
            assign(parameters, gradients(step))
            each.step()
    assert all(map(torch.equal, whole, parted))
    assert all(map(torch.equal, begun.state["first"], kept))


def test_frozen_weights_are_left_out():
    frozen = nn.Parameter(torch.ones(3), requires_grad=False)
    optimizer = AdamW([frozen, *weights()], 0.1, 0.1)
    assert len(optimizer.weights) == 3
    assign(optimizer.weights, gradients(0))
    optimizer.step()
    assert torch.equal(frozen, torch.ones(3))


def test_gradients_are_there_until_they_are_forgotten():
    parameters = weights()
    optimizer = AdamW(parameters, 0.1, 0.1)
    assign(parameters, gradients(0))
    optimizer.step()
    assert all(map(torch.equal, [weight.grad for weight in parameters], gradients(0)))
    optimizer.zero_grad()
    assert all(weight.grad is None for weight in parameters)


def test_training_does_not_load_the_compiler():
    found = subprocess.run(
        [sys.executable, "-c", TRAINING], capture_output=True, text=True, check=True
    )
    assert found.stdout.split() == ["False"]
