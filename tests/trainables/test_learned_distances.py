import pytest
import torch
from torch.func import vmap

from trainables import learned_distances as module
from trainables.learned_distances import FEW, FEW_STACKED, learned_distances

MOST = {"products": (0, 0), "differences": (FEW, FEW_STACKED), "stacked products": (FEW, 0)}


@pytest.fixture(autouse=True, params=MOST)
def way(request, monkeypatch):
    """All ways to the distances, with few rows."""
    for name, most in zip(("FEW", "FEW_STACKED"), MOST[request.param], strict=True):
        monkeypatch.setattr(module, name, most)


def cloud(dtype, rows=30, width=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, width, generator=generator, dtype=torch.float64).to(dtype)


def exact(rows, columns):
    return torch.cdist(rows.double(), columns.double(), compute_mode="donot_use_mm_for_euclid_dist")


@pytest.mark.parametrize("offset", [0.0, 1e3])
@pytest.mark.parametrize("apart", [1.0, 1e-3])
@pytest.mark.parametrize(("dtype", "error"), [(torch.float32, 1e-6), (torch.float64, 1e-8)])
def test_values_and_gradients_are_those_of_differences(dtype, error, apart, offset):
    rows = offset + cloud(dtype)
    rows[1::2] = rows[::2] + apart * cloud(dtype, 15, seed=1)
    columns = rows[5:].clone()
    found, expected = ([part.clone().requires_grad_() for part in (rows, columns)] for _ in "ab")
    weights = torch.rand(30, 25, dtype=torch.float64)
    ours, theirs = learned_distances(*found), exact(*expected)
    torch.testing.assert_close(ours.double(), theirs, rtol=error, atol=error * apart)
    (ours * weights).sum().backward()
    (theirs * weights).sum().backward()
    for one, other in zip(found, expected, strict=True):
        assert one.grad.dtype == dtype
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-5, atol=1e-5)


def test_where_rows_coincide_distance_and_gradient_are_zero():
    rows = 100 + cloud(torch.float32)
    rows[10:20] = rows[:10]
    rows.requires_grad_()
    apart = learned_distances(rows)
    assert (apart.diagonal() == 0).all()
    assert (apart[:10, 10:20].diagonal() == 0).all()
    apart.diagonal().sum().backward()
    assert (rows.grad == 0).all()


def test_of_rows_that_are_all_the_same_every_distance_is_zero():
    rows = torch.full((4, 3), 0.1, requires_grad=True)
    apart = learned_distances(rows)
    apart.sum().backward()
    assert (apart == 0).all()
    assert (rows.grad == 0).all()


def test_stacked_they_are_those_of_each():
    stacks = torch.stack([cloud(torch.float64, seed=seed) for seed in range(3)]).requires_grad_()
    weights = torch.rand(3, 30, 30, dtype=torch.float64)
    together = vmap(lambda rows: learned_distances(rows))(stacks)
    (gradient,) = torch.autograd.grad((together * weights).sum(), stacks)
    for number in range(3):
        rows = stacks[number].detach().requires_grad_()
        alone = learned_distances(rows)
        (alone * weights[number]).sum().backward()
        torch.testing.assert_close(together[number], alone)
        torch.testing.assert_close(gradient[number], rows.grad)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_those_of_rows_to_themselves_are_those_to_any_columns(dtype):
    one, other = (cloud(dtype).requires_grad_() for _ in "ab")
    weights = torch.rand(30, 30, dtype=torch.float64)
    apart, expected = learned_distances(one), learned_distances(other, other)
    torch.testing.assert_close(apart, expected)
    (apart * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(one.grad, other.grad)
