import pytest
import torch

from trainables import catalogue
from trainables.aggregators.power_mean import FLOOR, PowerMeanAggregator

ONE_GROUP = torch.tensor([[True, True, True, False]])


def power_mean(members, exponent):
    """Of one group, with a padded place behind it."""
    embeddings = torch.cat([members, torch.full_like(members[:1], 50.0)])[None]
    return PowerMeanAggregator(members.shape[1], exponent=exponent)(embeddings, ONE_GROUP)[0]


def test_a_power_mean_worked_by_hand():
    # The squares average to 3 and to 25.
    found = power_mean(torch.tensor([[1.0, 1.0], [2.0, 7.0], [2.0, 5.0]]), 2.0)
    torch.testing.assert_close(found, torch.tensor([3**0.5, 5.0]))


@pytest.mark.parametrize("exponent", [0.1, 1.0, 3.0, 8.0])
def test_it_follows_the_formula(exponent):
    members = torch.randn(3, 6)
    raised = [[max(x, FLOOR) ** exponent for x in feature] for feature in members.T.tolist()]
    expected = torch.tensor([(sum(powers) / 3) ** (1 / exponent) for powers in raised])
    torch.testing.assert_close(power_mean(members, exponent), expected)


def test_an_exponent_of_1_is_the_mean():
    members = torch.rand(3, 6) + 0.1
    torch.testing.assert_close(power_mean(members, 1.0), members.mean(0))


def test_a_large_exponent_approaches_the_largest():
    members = torch.rand(3, 6) + 0.1
    largest = members.amax(0)
    found = power_mean(members, 100.0)
    assert (found <= largest).all()
    torch.testing.assert_close(
        found, largest, rtol=0.011, atol=0
    )  # the 100th root of 1 / 3 is 0.989


def test_features_below_the_floor_count_as_the_floor():
    found = power_mean(torch.tensor([[-5.0], [0.0], [FLOOR]]), 3.0)
    torch.testing.assert_close(found, torch.tensor([FLOOR]))


@pytest.mark.parametrize("exponent", [0.1, 100.0])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_no_legal_exponent_overflows(exponent, scale):
    aggregator = PowerMeanAggregator(5, exponent=exponent)
    embeddings = (scale * torch.randn(1, 4, 5)).requires_grad_()
    found = aggregator(embeddings, ONE_GROUP)
    found.sum().backward()
    assert found.isfinite().all()
    assert embeddings.grad.isfinite().all()
    assert aggregator.log_exponent.grad.isfinite()


def test_gradients_are_those_of_finite_differences():
    aggregator = PowerMeanAggregator(3, exponent=2.5).double()
    embeddings = torch.rand(1, 4, 3, dtype=torch.float64).add(0.1).requires_grad_()

    def by_exponent(embeddings, log_exponent):
        replaced = {"log_exponent": log_exponent}
        return torch.func.functional_call(aggregator, replaced, (embeddings, ONE_GROUP))

    assert torch.autograd.gradcheck(by_exponent, (embeddings, aggregator.log_exponent))


def test_the_exponent_is_learned_and_stays_positive():
    aggregator = PowerMeanAggregator(2, exponent=0.1)
    assert dict(aggregator.named_parameters()).keys() == {"log_exponent"}
    with torch.no_grad():
        aggregator.log_exponent.sub_(5)
    assert aggregator(torch.rand(1, 4, 2) + 0.1, ONE_GROUP).isfinite().all()


def test_it_leaves_the_hull_and_says_why():
    assert PowerMeanAggregator.outside_hull == (
        "a power mean of the features bends away from the segment between two members"
    )


@pytest.mark.parametrize(
    ("exponent", "is_legal"), [(0.0, False), (0.1, True), (100.0, True), (101.0, False)]
)
def test_the_exponent_has_a_range(exponent, is_legal):
    option = catalogue.options(PowerMeanAggregator)["exponent"]
    assert (option.problem(exponent) is None) == is_legal
