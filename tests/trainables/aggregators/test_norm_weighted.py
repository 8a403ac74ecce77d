import pytest
import torch

from trainables import catalogue
from trainables.aggregators.norm_weighted import NormWeightedAggregator

THREE = torch.tensor([[True, True, True, False]])


def test_weights_worked_by_hand():
    # Lengths 5, 10 and 0: squared, 25 to 100 to nothing.
    embeddings = torch.tensor([[[3.0, 4.0], [-6.0, 8.0], [0.0, 0.0], [9.0, 9.0]]])
    weights = NormWeightedAggregator(2, power=2.0).weights(embeddings, THREE)
    torch.testing.assert_close(weights, torch.tensor([[0.2, 0.8, 0.0, 0.0]]))


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0, 4.0])
def test_weights_follow_the_formula(power):
    embeddings = torch.randn(3, 4, 5, dtype=torch.float64)
    mask = torch.tensor([[True] * 4, [False, True, False, True], [False, False, True, False]])
    weights = NormWeightedAggregator(5, power=power).weights(embeddings, mask)
    for group in range(3):
        powers = [sum(x * x for x in e.tolist()) ** (power / 2) for e in embeddings[group]]
        powers = [value * real for value, real in zip(powers, mask[group].tolist(), strict=True)]
        expected = torch.tensor([value / sum(powers) for value in powers], dtype=torch.float64)
        torch.testing.assert_close(weights[group], expected, rtol=0, atol=1e-12)


def test_embeddings_of_unit_length_weigh_the_same():
    embeddings = torch.nn.functional.normalize(torch.randn(1, 4, 6), dim=2)
    found = NormWeightedAggregator(6, power=3.0)(embeddings, THREE)
    torch.testing.assert_close(found, embeddings[:, :3].mean(1))


def test_a_power_of_0_is_the_mean():
    embeddings = torch.randn(1, 4, 6)
    found = NormWeightedAggregator(6, power=0.0)(embeddings, THREE)
    torch.testing.assert_close(found, embeddings[:, :3].mean(1))


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_weights_do_not_depend_on_the_scale(scale):
    aggregator, embeddings = NormWeightedAggregator(6, power=16.0), torch.randn(1, 4, 6)
    found = aggregator.weights(scale * embeddings, THREE)
    torch.testing.assert_close(
        found, aggregator.weights(embeddings, THREE), rtol=1e-4, atol=1e-6
    )  # rounding to the 16th power


@pytest.mark.parametrize("power", [0.0, 0.5, 16.0])
def test_a_group_of_zeros_is_zero_with_a_finite_gradient(power):
    embeddings = torch.zeros(1, 4, 2, requires_grad=True)
    found = NormWeightedAggregator(2, power=power)(embeddings, THREE)
    found.sum().backward()
    assert found.tolist() == [[0.0, 0.0]]
    torch.testing.assert_close(embeddings.grad[0, :3], torch.full((3, 2), 1 / 3))


@pytest.mark.parametrize("power", [0.0, 16.0])
def test_squares_that_overflow_at_padded_places_leave_the_gradient_finite(power):
    embeddings = torch.tensor([[[3.0], [4.0], [4.0], [1e30]]], requires_grad=True)
    found = NormWeightedAggregator(1, power=power)(embeddings, THREE)
    found.sum().backward()
    assert found.isfinite().all()
    assert embeddings.grad.isfinite().all()
    assert not embeddings.grad[0, 3].any()


def test_gradients_are_those_of_finite_differences():
    aggregator = NormWeightedAggregator(3, power=1.5)
    embeddings = torch.randn(1, 4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(aggregator, (embeddings, THREE))


@pytest.mark.parametrize(
    ("power", "is_legal"), [(-0.1, False), (0.0, True), (16.0, True), (16.1, False)]
)
def test_the_power_has_a_range(power, is_legal):
    option = catalogue.options(NormWeightedAggregator)["power"]
    assert (option.problem(power) is None) == is_legal
