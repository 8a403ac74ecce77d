import pytest
import torch

from trainables import catalogue
from trainables.aggregation import learns_from
from trainables.aggregators.netvlad import NetvladAggregator

MASK = torch.tensor([[True] * 4, [True, False, True, False], [False, True, False, False]])


def aggregator(**options):
    return NetvladAggregator(5, **{"clusters": 3, "ghosts": 1, **options}).double()


@torch.no_grad()
def naive(vlad, members):
    """Of one group, cluster by cluster and member by member, with the sums of the paper."""
    sums = torch.zeros_like(vlad.centres)
    for member in members:
        exponentials = (vlad.assignment.weight @ member + vlad.assignment.bias).exp()
        for cluster, centre in enumerate(vlad.centres):
            share = exponentials[cluster] / exponentials.sum()
            sums[cluster] += share * (member - centre)
    directions = torch.cat([of_cluster / of_cluster.norm() for of_cluster in sums])
    return vlad.projection.weight @ (directions / directions.norm())


@torch.no_grad()
def shaken(vlad):
    """With an assignment that no longer follows from the centres."""
    for parameter in vlad.parameters():
        parameter.add_(0.3 * torch.randn_like(parameter))
    return vlad


@pytest.mark.parametrize(("clusters", "ghosts"), [(1, 1), (2, 0), (3, 1), (4, 2)])
def test_it_follows_the_formula(clusters, ghosts):
    vlad = shaken(aggregator(clusters=clusters, ghosts=ghosts))
    embeddings = torch.randn(3, 4, 5, dtype=torch.float64)
    expected = torch.stack(
        [naive(vlad, group[real]) for group, real in zip(embeddings, MASK, strict=True)]
    )
    torch.testing.assert_close(vlad(embeddings, MASK), expected, rtol=0, atol=1e-9)


def test_a_group_worked_by_hand():
    vlad = NetvladAggregator(2, clusters=2, ghosts=1)
    with torch.no_grad():
        vlad.centres.copy_(torch.tensor([[0.0, 0.0], [3.0, 5.0]]))
        vlad.assignment.weight.zero_()  # so that each cluster takes a third of each member
        vlad.assignment.bias.zero_()
        vlad.projection.weight.copy_(torch.eye(4)[[0, 3]] + torch.eye(4)[[1, 2]])
    # The mean is (3, 4): in the directions (0.6, 0.8) and (0, -1) from the centres.
    embeddings = torch.tensor([[[6.0, 0.0], [0.0, 8.0], [50.0, 50.0]]])
    found = vlad(embeddings, torch.tensor([[True, True, False]]))
    torch.testing.assert_close(found, torch.tensor([[1.4, -1.0]]) / 2**0.5)


def test_the_first_assignment_is_by_the_squared_distance_to_the_centres():
    vlad = NetvladAggregator(5, clusters=4, ghosts=0, sharpness=3.0)
    points = torch.randn(6, 5)
    expected = (-3.0 * torch.cdist(points, vlad.centres).square()).softmax(1)
    torch.testing.assert_close(vlad.assignment(points).softmax(1), expected)
    torch.testing.assert_close(vlad.centres.norm(dim=1), torch.ones(4))


@torch.no_grad()
def test_a_member_that_a_ghost_takes_does_not_count():
    vlad = aggregator(clusters=2, ghosts=1)
    vlad.assignment.weight[2] = torch.tensor([100.0, 0.0, 0.0, 0.0, 0.0])
    embeddings = torch.randn(1, 3, 5, dtype=torch.float64)
    embeddings[0, :, 0] = torch.tensor([-1.0, -1.0, 1.0])
    every, but_last = torch.tensor([[[True] * 3], [[True, True, False]]])
    torch.testing.assert_close(vlad(embeddings, every), vlad(embeddings, but_last))
    vlad.assignment.weight[2] *= -1
    assert not torch.allclose(vlad(embeddings, every), vlad(embeddings, but_last))


def test_twice_the_same_members_are_the_same_group():
    vlad = aggregator()
    embeddings = torch.randn(2, 3, 5, dtype=torch.float64)
    once, twice = (
        vlad(members, torch.ones(members.shape[:2], dtype=torch.bool))
        for members in (embeddings, torch.cat([embeddings, embeddings], 1))
    )
    torch.testing.assert_close(once, twice)


def test_a_member_at_a_centre_has_a_finite_embedding_and_gradient():
    vlad = aggregator()
    members = vlad.centres.detach()[:1, None].clone().requires_grad_()
    found = vlad(members, torch.ones(1, 1, dtype=torch.bool))
    found.square().sum().backward()
    assert found.isfinite().all()
    assert members.grad.isfinite().all()


def test_the_direction_from_a_centre_that_gets_next_to_nothing_is_not_lost():
    vlad = NetvladAggregator(2, clusters=1, ghosts=1)
    with torch.no_grad():
        vlad.centres.zero_()
        vlad.assignment.weight.copy_(torch.tensor([[0.0, 0.0], [1000.0, 0.0]]))
        vlad.assignment.bias.zero_()
        vlad.projection.weight.copy_(torch.eye(2))
    # The centre gets exp(-3000) and exp(-6000): only the first member counts.
    embeddings = torch.tensor([[[3.0, 4.0], [6.0, -8.0]]], requires_grad=True)
    found = vlad(embeddings, torch.ones(1, 2, dtype=torch.bool))
    torch.testing.assert_close(found, torch.tensor([[0.6, 0.8]]))
    found.sum().backward()
    assert embeddings.grad.isfinite().all()


def test_a_group_of_one_point_teaches_no_assignment():
    assert not learns_from(aggregator().float(), 1)
    assert learns_from(aggregator().float(), 2)


def test_it_leaves_the_hull_and_says_why():
    vlad = aggregator()
    point = torch.ones(1, 1, 5, dtype=torch.float64)
    assert not torch.allclose(vlad(point, torch.ones(1, 1, dtype=torch.bool)), point[:, 0])
    assert NetvladAggregator.outside_hull == (
        "residuals from cluster centres are scaled and projected, not averaged"
    )


@pytest.mark.parametrize(
    ("clusters", "ghosts", "problems"),
    [
        (1, 1, []),
        (2, 0, []),
        (1, 0, ["clusters: must be at least 2 where there are no ghosts, got 1"]),
    ],
)
def test_something_is_left_to_assign(clusters, ghosts, problems):
    assert NetvladAggregator.check(clusters=clusters, ghosts=ghosts, sharpness=1.0) == problems


@pytest.mark.parametrize(
    ("name", "value", "is_legal"),
    [
        ("clusters", 0, False),
        ("clusters", 1, True),
        ("ghosts", -1, False),
        ("ghosts", 0, True),
        ("sharpness", 0.0, False),
        ("sharpness", 1000.0, True),
        ("sharpness", 1001.0, False),
    ],
)
def test_options_have_ranges(name, value, is_legal):
    assert (catalogue.options(NetvladAggregator)[name].problem(value) is None) == is_legal
