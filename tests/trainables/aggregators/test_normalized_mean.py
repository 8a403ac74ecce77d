import pytest
import torch

from trainables.aggregators.normalized_mean import FLOOR, NormalizedMeanAggregator

TWO = torch.tensor([[True, True, False]])


def of_group(*members):
    """Of one group of two, with a padded place behind it."""
    return NormalizedMeanAggregator(2)(torch.stack([*members, torch.full((2,), 50.0)])[None], TWO)


def test_the_normalized_mean_worked_by_hand():
    found = of_group(torch.tensor([1.0, 7.0]), torch.tensor([5.0, 1.0]))  # the mean is (3, 4)
    torch.testing.assert_close(found, torch.tensor([[0.6, 0.8]]))


def test_it_is_the_mean_at_unit_length():
    embeddings = torch.randn(3, 4, 5, dtype=torch.float64)
    mask = torch.tensor([[True] * 4, [False, True, True, False], [False, False, True, False]])
    found = NormalizedMeanAggregator(5)(embeddings, mask)
    for group in range(3):
        members = embeddings[group, mask[group]].tolist()
        mean = [sum(feature) / len(members) for feature in zip(*members, strict=True)]
        length = sum(x * x for x in mean) ** 0.5
        torch.testing.assert_close(found[group].tolist(), [x / length for x in mean])


@pytest.mark.parametrize("scale", [1e-5, 1e5])
def test_it_does_not_depend_on_the_scale(scale):
    members = torch.randn(2, 2)
    torch.testing.assert_close(of_group(*(scale * members)), of_group(*members))


def test_a_mean_of_zero_stays_zero_with_a_finite_gradient():
    member = torch.tensor([3.0, 4.0], requires_grad=True)
    found = of_group(member, -member.detach())
    found.sum().backward()
    assert found.tolist() == [[0.0, 0.0]]
    torch.testing.assert_close(member.grad, torch.full((2,), 0.5 / FLOOR))


def test_gradients_are_those_of_finite_differences():
    embeddings = torch.randn(1, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(NormalizedMeanAggregator(4), (embeddings, TWO))


def test_it_leaves_the_hull_and_says_why():
    torch.testing.assert_close(of_group(*torch.eye(2)).norm(), torch.tensor(1.0))
    assert NormalizedMeanAggregator.outside_hull == (
        "stretching the mean to unit length leaves the hull, and ties it to means u and v only by "
        "||norm u - norm v|| <= 2 ||u - v|| / (||u|| + ||v||)"
    )


def test_distances_of_results_are_bounded_by_those_of_means():
    groups = torch.randn(2, 500, 3, 4, dtype=torch.float64)
    mask = torch.ones(500, 3, dtype=torch.bool)
    first, second = (NormalizedMeanAggregator(4)(group, mask) for group in groups)
    u, v = groups.mean(2)
    bound = 2 * (u - v).norm(dim=1) / (u.norm(dim=1) + v.norm(dim=1))
    distances = (first - second).norm(dim=1)
    assert (distances <= bound + 1e-12).all()
    assert (distances > 0.9 * bound).any()


def test_the_bound_of_the_mean_itself_does_not_hold():
    # Means one hundredth apart end up at right angles.
    results = [of_group(member, member) for member in 0.01 * torch.eye(2)]
    torch.testing.assert_close((results[0] - results[1]).norm(), torch.tensor(2.0).sqrt())
