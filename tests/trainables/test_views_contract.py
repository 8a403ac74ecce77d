import pytest
import torch
from torch import Generator

from tests.trainables.variants import float_options, looped, name_of, variants
from trainables import catalogue
from trainables.contracts import Views

CASES = [
    (variant, shape)
    for variant in variants("views")
    for shape in ((9,), (1, 16, 16), (3, 5, 8))
    if catalogue.load("views", variant[0]).unfit(shape) is None
]


@pytest.fixture(params=CASES, ids=lambda case: f"{name_of(case[0])}-{'x'.join(map(str, case[1]))}")
def made(request):
    """Views, and some points of their shape."""
    (name, options), shape = request.param
    return catalogue.load("views", name)(shape, **options), torch.rand(6, *shape) + 0.5


def generator(seed):
    return Generator().manual_seed(seed)


def test_a_view_has_the_shape_and_type_of_its_points(made):
    views, points = made
    found = views(points, generator(0))
    assert isinstance(views, Views)
    assert found.shape == points.shape
    assert found.dtype == points.dtype
    assert found.isfinite().all()


def test_the_generator_decides_the_view(made):
    views, points = made
    assert torch.equal(views(points, generator(3)), views(points, generator(3)))
    assert not torch.equal(views(points, generator(3)), views(points, generator(4)))


def test_two_draws_of_one_generator_differ(made):
    views, points = made
    source = generator(0)
    assert not torch.equal(views(points, source), views(points, source))


def test_nothing_random_comes_from_elsewhere(made):
    views, points = made
    before = torch.get_rng_state()
    views(points, generator(0))
    assert torch.equal(torch.get_rng_state(), before)


def test_the_points_are_left_as_they_are(made):
    views, points = made
    before = points.clone()
    views(points, generator(0))
    assert torch.equal(points, before)


def test_every_point_is_changed_on_its_own(made):
    views, points = made
    # Two kinds, since points that are all alike have nothing to give each other.
    alike = points[[0, 0, 0, 1, 1, 1]]
    assert len(views(alike, generator(0))[:3].unique(dim=0)) > 1


def test_training_and_evaluation_make_the_same_views(made):
    views, points = made
    trained, evaluated = (views.train(mode)(points, generator(0)) for mode in (True, False))
    assert torch.equal(trained, evaluated)


@pytest.mark.parametrize("name", catalogue.names("views"))
def test_options_change_the_views(name):
    component = catalogue.load("views", name)
    shape = next(shape for shape in ((50,), (1, 16, 16)) if component.unfit(shape) is None)
    members = [component(shape, **values) for values in float_options(component)]
    points = torch.rand(3, 6, *shape)
    found = looped(members, lambda views, points: views(points, generator(0)))(points)
    assert len((found - points).flatten(1).unique(dim=0)) == 3
