import pytest
import torch
from torch.func import vmap

from trainables.hinges import FEW, hinges

LABELS = torch.tensor([0, 0, 1, 1, 1, 2])
NEGATIVE = LABELS[:, None] != LABELS
COUNTS = [1, 6, FEW, FEW + 1]


def distances(*stacks):
    return torch.randint(0, 5, (*stacks, 6, 6), generator=torch.Generator().manual_seed(0)).double()


def some_limits(*shape):
    """Whole numbers, so that some negatives are at the limit exactly, and what each counts."""
    source = torch.Generator().manual_seed(1)
    limits, bars = torch.randint(0, 6, (2, *shape), generator=source).double()
    return limits, bars, torch.randint(-1, 2, shape, generator=source).double()


def all_hinges(apart, negative, limits, counts, bars):
    """Sums and numbers from the cube of anchors, limits and negatives."""
    is_below = negative[:, None] & (apart[:, None] < bars[:, :, None])
    counted = is_below * counts[:, :, None]
    return ((limits[:, :, None] - apart[:, None]) * counted).sum((1, 2)), counted.sum(2)


@pytest.mark.parametrize("has_bars", [False, True])
@pytest.mark.parametrize("count", COUNTS)
def test_sums_and_their_gradients_are_those_of_all_pairs(count, has_bars):
    apart, (limits, bars, counts) = distances().requires_grad_(), some_limits(6, count)
    limits.requires_grad_()
    found = hinges(apart, NEGATIVE, limits, counts, bars if has_bars else None)
    expected = all_hinges(apart, NEGATIVE, limits, counts, bars if has_bars else limits)
    assert found.nearer.any()
    assert torch.equal(found.nearer, expected[1])
    assert torch.equal(found.sums, expected[0])
    weights = torch.arange(1.0, 7.0).double()
    gradients = [
        torch.autograd.grad(weights @ sums, (apart, limits)) for sums in (found.sums, expected[0])
    ]
    for one, other in zip(*gradients, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("count", COUNTS)
def test_stacks_are_summed_as_each_by_itself(count):
    apart, (limits, bars, _) = distances(3).requires_grad_(), some_limits(3, 6, count)
    limits.requires_grad_()
    counts = some_limits(6, count)[2]

    def sums(apart, limits, bars):
        # What is the same in all of a stack is not stacked.
        return hinges(apart, NEGATIVE, limits, counts, bars)

    together = vmap(sums)(apart, limits, bars)
    alone = [sums(*of_stack) for of_stack in zip(apart, limits, bars, strict=True)]
    for one, other in zip(together, zip(*alone, strict=True), strict=True):
        assert torch.equal(one, torch.stack(other))
    weights = torch.arange(1.0, 19.0).double().view(3, 6)
    gradients = [
        torch.autograd.grad((weights * of_way).sum(), (apart, limits))
        for of_way in (together.sums, torch.stack([one.sums for one in alone]))
    ]
    for one, other in zip(*gradients, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("count", COUNTS)
def test_without_negatives_there_is_nothing_to_sum(count):
    none, limits = torch.zeros(3, 3, dtype=torch.bool), torch.full((3, count), 9.0)
    found = hinges(torch.ones(3, 3), none, limits, torch.ones_like(limits))
    assert not found.sums.any()
    assert not found.nearer.any()


def test_distances_that_need_no_gradient_get_none():
    limits, _, counts = some_limits(6, 4)
    found = hinges(distances(), NEGATIVE, limits.requires_grad_(), counts)
    (gradient,) = torch.autograd.grad(found.sums.sum(), limits)
    assert torch.equal(gradient, found.nearer)
