import pytest
import torch

from trainables import catalogue
from trainables.aggregation import learns_from
from trainables.aggregators.covariance import CovarianceAggregator

MASK = torch.tensor([[True] * 4, [True, False, True, False], [False, True, False, False]])


def aggregator(**options):
    return CovarianceAggregator(5, **{"rank": 3, **options}).double()


def root_of(matrix):
    """By an eigendecomposition."""
    values, vectors = torch.linalg.eigh(matrix)
    return vectors @ values.sqrt().diag() @ vectors.T


@torch.no_grad()
def naive(aggregator, members):
    """Of one group, one member at a time."""
    rank = len(aggregator.projection.weight)
    mean = sum(members) / len(members)
    covariance = torch.zeros(rank, rank, dtype=torch.float64)
    for member in members:
        centred = aggregator.projection.weight @ (member - mean)
        covariance += torch.outer(centred, centred) / len(members)
    shrinkage = aggregator.shrinkage
    target = (covariance.trace() + 1) / rank * torch.eye(rank, dtype=torch.float64)
    root = root_of((1 - shrinkage) * covariance + shrinkage * target)
    upper = [root[row, column] for row in range(rank) for column in range(row, rank)]
    return aggregator.last.weight @ torch.cat([mean, torch.stack(upper)])


@pytest.mark.parametrize("rank", [1, 3, 5, 8])
@pytest.mark.parametrize("shrinkage", [0.01, 0.1, 0.99])
@pytest.mark.parametrize("scale", [0.1, 1.0, 100.0])
def test_it_follows_the_formula(rank, shrinkage, scale):
    covariance = aggregator(rank=rank, shrinkage=shrinkage)
    embeddings = scale * torch.randn(3, 4, 5, dtype=torch.float64)
    expected = torch.stack(
        [naive(covariance, group[real]) for group, real in zip(embeddings, MASK, strict=True)]
    )
    torch.testing.assert_close(covariance(embeddings, MASK), expected, rtol=1e-9, atol=1e-9)


def test_a_group_worked_by_hand():
    covariance = CovarianceAggregator(3, rank=2, shrinkage=0.5)
    with torch.no_grad():
        covariance.projection.weight.copy_(torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]))
        covariance.last.weight.zero_()
        covariance.last.weight[0, 2] = 1.0  # the last feature of the mean
        covariance.last.weight[1, 3] = 1.0  # the first place of the root
        covariance.last.weight[2, 4:] = torch.tensor([1.0, 10.0])  # its second and third
    # The covariance is (7, 0; 0, 0), the identity counts (7 + 1) / 2: half of each is (5.5, 2).
    offset = 7**0.5
    embeddings = torch.tensor([[[offset, 1.0, 2.0], [-offset, 1.0, 6.0], [50.0, 50.0, 50.0]]])
    found = covariance(embeddings, torch.tensor([[True, True, False]]))
    torch.testing.assert_close(found, torch.tensor([[4.0, 5.5**0.5, 10 * 2**0.5]]))


@pytest.mark.parametrize("rank", [2, 8, 32])
@pytest.mark.parametrize("spread", [1.0, 1e3])
def test_the_root_has_converged_wherever_the_suggested_shrinkage_is_used(rank, spread):
    shrinkage = catalogue.options(CovarianceAggregator)["shrinkage"].suggestion.low
    covariance = CovarianceAggregator(rank, rank=rank, shrinkage=shrinkage).double()
    # Two points: one eigenvalue, and the others as small as they can be.
    embeddings = spread * torch.randn(1, 2, rank, dtype=torch.float64)
    found = covariance(embeddings, torch.ones(1, 2, dtype=torch.bool))
    torch.testing.assert_close(found[0], naive(covariance, embeddings[0]), rtol=1e-9, atol=1e-9)


def test_a_group_of_one_point_has_the_root_of_the_identity_alone():
    covariance = aggregator(rank=2, shrinkage=0.32)
    point = torch.randn(5, dtype=torch.float64)
    found = covariance(point[None, None], torch.ones(1, 1, dtype=torch.bool))[0]
    entries = torch.tensor([0.4, 0.0, 0.4], dtype=torch.float64)  # 0.32 / 2 is 0.4 squared
    expected = covariance.last.weight @ torch.cat([point, entries])
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)  # shrinkage is a float32


def test_a_shift_of_all_members_moves_the_mean_alone():
    covariance = aggregator()
    embeddings, shift = torch.randn(3, 4, 5, dtype=torch.float64), torch.arange(5).double()
    moved = covariance(embeddings + shift, MASK) - covariance(embeddings, MASK)
    expected = covariance.last.weight[:, :5] @ shift
    torch.testing.assert_close(moved, expected.expand(3, 5))


def test_groups_of_one_mean_differ_by_their_spread():
    covariance = aggregator()
    embeddings = torch.randn(1, 2, 5, dtype=torch.float64)
    embeddings = torch.cat([embeddings, -embeddings], 1)
    mask = torch.ones(1, 4, dtype=torch.bool)
    assert not torch.allclose(covariance(embeddings, mask), covariance(2 * embeddings, mask))


def test_gradients_where_eigenvalues_coincide_are_those_of_finite_differences():
    covariance = aggregator(rank=5)
    # The corners of a cross have the identity's covariance, up to its length.
    corners = torch.cat([torch.eye(5), -torch.eye(5)]).double()[None].requires_grad_()
    mask = torch.ones(1, 10, dtype=torch.bool)
    assert torch.autograd.gradcheck(lambda e: covariance(e, mask), corners)


def test_a_group_of_one_point_teaches_no_projection():
    assert not learns_from(aggregator().float(), 1)
    assert learns_from(aggregator().float(), 2)


def test_it_leaves_the_hull_and_says_why():
    covariance = aggregator()
    point = torch.ones(1, 1, 5, dtype=torch.float64)
    assert not torch.allclose(covariance(point, torch.ones(1, 1, dtype=torch.bool)), point[:, 0])
    assert CovarianceAggregator.outside_hull == (
        "the spread of the members is mixed into their mean"
    )


@pytest.mark.parametrize(
    ("name", "value", "is_legal"),
    [
        ("rank", 0, False),
        ("rank", 1, True),
        ("shrinkage", 0.0, False),
        ("shrinkage", 0.01, True),
        ("shrinkage", 0.99, True),
        ("shrinkage", 1.0, False),
    ],
)
def test_options_have_ranges(name, value, is_legal):
    assert (catalogue.options(CovarianceAggregator)[name].problem(value) is None) == is_legal
