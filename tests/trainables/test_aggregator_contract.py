import pytest
import torch

from tests.trainables.variants import float_options, looped, name_of, stacked, variants
from trainables import catalogue
from trainables.contracts import Aggregator, HullAggregator

WIDTH = 6
LENT = [f"library-{name}" for name in catalogue.library("aggregator").offered()]
PROGRAMS = variants("aggregator")
VARIANTS = PROGRAMS + variants("aggregator", LENT)
IN_HULL = [v for v in VARIANTS if catalogue.load("aggregator", v[0]).outside_hull is None]


def built(variant, **changes):
    name, options = variant
    return catalogue.load("aggregator", name)(WIDTH, **{**options, **changes}).eval()


@pytest.fixture(params=VARIANTS, ids=name_of)
def aggregator(request):
    return built(request.param)


@pytest.fixture(params=IN_HULL, ids=name_of)
def in_hull(request):
    return built(request.param)


@pytest.fixture
def batch():
    """Groups of 1 to 4 real points at the front, at the back and in between."""
    mask = torch.tensor(
        [[True] * 4, [True, False, True, False], [False, False, False, True], [True] + [False] * 3]
    )
    return torch.randn(4, 4, WIDTH), mask


def test_it_says_whether_the_theorem_covers_it(aggregator):
    assert isinstance(aggregator, Aggregator)
    reason = type(aggregator).outside_hull
    assert (reason is None) == isinstance(aggregator, HullAggregator)
    assert reason != ""


def test_every_group_gets_an_embedding_of_the_same_width(aggregator, batch):
    assert aggregator(*batch).shape == (4, WIDTH)


def test_the_order_of_points_does_not_matter(aggregator, batch):
    embeddings, mask = batch
    # Every point moves: a random order can leave the first in place and prove nothing.
    moved = aggregator(embeddings.roll(1, dims=1), mask.roll(1, dims=1))
    torch.testing.assert_close(moved, aggregator(embeddings, mask))


@pytest.mark.parametrize("filling", [0.0, -1e6, 1e6, 1e30, 3e38])
def test_what_stands_at_padded_places_does_not_matter(aggregator, batch, filling):
    embeddings, mask = batch
    filled = embeddings.masked_fill(~mask[:, :, None], filling)
    found = aggregator(filled, mask)
    torch.testing.assert_close(found, aggregator(embeddings, mask), rtol=0, atol=0)


def test_the_number_of_padded_places_does_not_matter(aggregator, batch):
    embeddings, mask = batch
    wider = torch.cat([embeddings, torch.randn(4, 3, WIDTH)], 1)
    wider_mask = torch.cat([mask, torch.zeros(4, 3, dtype=torch.bool)], 1)
    torch.testing.assert_close(aggregator(wider, wider_mask), aggregator(embeddings, mask))


def test_the_other_groups_of_a_batch_do_not_matter(aggregator, batch):
    embeddings, mask = batch
    together = aggregator(embeddings, mask)
    for group in range(len(mask)):
        alone = aggregator(embeddings[group, None], mask[group, None])
        torch.testing.assert_close(alone[0], together[group])


@pytest.mark.parametrize("filling", [0.0, 1e6, 1e30])
def test_padded_places_get_no_gradient_and_real_points_a_finite_one(aggregator, batch, filling):
    embeddings, mask = batch
    embeddings = embeddings.masked_fill(~mask[:, :, None], filling).requires_grad_()
    result = aggregator(embeddings, mask)
    result.square().sum().backward()
    assert result.isfinite().all()
    assert embeddings.grad.isfinite().all()
    assert not embeddings.grad[~mask].any()
    gradients = [parameter.grad for parameter in aggregator.parameters()]
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_gradients_are_those_of_finite_differences(aggregator, batch):
    embeddings, mask = batch
    exact = aggregator.double()
    leaf = embeddings.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda e: exact(e, mask), leaf)


@pytest.mark.parametrize("scale", [0.0, 1.0, 1e4])
def test_coinciding_points_have_a_finite_embedding_and_gradient(aggregator, batch, scale):
    _, mask = batch
    embeddings = torch.full((4, 4, WIDTH), scale, requires_grad=True)
    result = aggregator(embeddings, mask)
    result.sum().backward()
    assert result.isfinite().all()
    assert embeddings.grad.isfinite().all()


def test_a_group_of_coinciding_points_is_that_point(in_hull, batch):
    _, mask = batch
    points = torch.randn(4, WIDTH)
    found = in_hull(points[:, None].expand(4, 4, WIDTH), mask)
    torch.testing.assert_close(found, points)


def test_weights_are_those_of_a_convex_combination(in_hull, batch):
    embeddings, mask = batch
    weights = in_hull.weights(embeddings, mask)
    assert weights.shape == mask.shape
    assert (weights >= 0).all()
    assert not weights[~mask].any()
    torch.testing.assert_close(weights.sum(1), torch.ones(4))


def test_the_weighted_mean_is_the_result(in_hull, batch):
    embeddings, mask = batch
    weighted = torch.stack(
        [w @ e for w, e in zip(in_hull.weights(embeddings, mask), embeddings, strict=True)]
    )
    torch.testing.assert_close(in_hull(embeddings, mask), weighted)


@pytest.fixture(params=PROGRAMS, ids=name_of)
def members(request):
    """Three aggregators of one kind that differ in their weights and float options."""
    name, options = request.param
    component = catalogue.load("aggregator", name)
    return [built((name, options), **values) for values in float_options(component)]


def test_a_pack_aggregates_as_its_members_do_alone(members, batch):
    embeddings, mask = torch.randn(3, 4, 4, WIDTH), batch[1]

    def call(aggregator, embeddings):
        return aggregator(embeddings, mask)

    found = stacked(members, call)(embeddings)
    torch.testing.assert_close(found, looped(members, call)(embeddings))


def test_a_pack_has_the_gradients_of_its_members(members, batch):
    embeddings, mask = torch.randn(3, 4, 4, WIDTH, requires_grad=True), batch[1]

    def call(aggregator, embeddings):
        return aggregator(embeddings, mask).square().sum()

    of_pack, of_members = (
        torch.autograd.grad(way(members, call)(embeddings).sum(), embeddings)[0]
        for way in (stacked, looped)
    )
    torch.testing.assert_close(of_pack, of_members)
