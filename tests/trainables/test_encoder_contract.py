from math import prod

import pytest
import torch

from tests.trainables.variants import float_options, looped, name_of, stacked, variants
from trainables import catalogue
from trainables.contracts import Encoder

SHAPES = [(1,), (12,), *[(c, side, side) for c in (1, 3) for side in (16, 28, 33)], (1, 16, 40)]
SMALL = {"width": 7, "channels": 4, "hidden": 16}
VARIANTS = variants("encoder")


def fitting(variant):
    return [shape for shape in SHAPES if catalogue.load("encoder", variant[0]).unfit(shape) is None]


CASES = [(variant, shape) for variant in VARIANTS for shape in fitting(variant)]
PROGRAMS = [case for case in CASES if catalogue.load("encoder", case[0][0]).tensor_program]


def case_name(case):
    variant, shape = case
    return f"{name_of(variant)}-{'x'.join(map(str, shape))}"


def built(variant, shape, **changes):
    """An encoder that has seen a batch, so that its batch statistics are its own."""
    name, options = variant
    component = catalogue.load("encoder", name)
    small = {key: SMALL[key] for key in catalogue.options(component) if key in SMALL}
    encoder = component(shape, **{**small, **options, **changes})
    encoder(torch.rand(6, *shape))
    return encoder


@pytest.fixture(params=CASES, ids=case_name)
def fitted(request):
    """An encoder and the shape of the points it was made for."""
    variant, shape = request.param
    return built(variant, shape), shape


@pytest.mark.parametrize("variant", VARIANTS, ids=name_of)
def test_some_shapes_fit_and_the_others_are_refused_in_words(variant):
    component = catalogue.load("encoder", variant[0])
    reasons = [component.unfit(shape) for shape in SHAPES]
    assert None in reasons
    assert all(reason is None or reason.startswith(f"{variant[0]} needs ") for reason in reasons)


@pytest.mark.parametrize("training", [True, False])
def test_every_point_gets_an_embedding_of_width_floats(fitted, training):
    encoder, shape = fitted
    output = encoder.train(training)(torch.rand(5, *shape))
    assert isinstance(encoder, Encoder)
    width = 7 if "width" in catalogue.options(type(encoder)) else prod(shape)
    assert encoder.width == width
    assert output.embedding.shape == (5, width)
    assert output.embedding.dtype == torch.float32
    assert output.embedding.isfinite().all()


def test_a_point_is_encoded_alike_alone_and_among_others(fitted):
    encoder, shape = fitted
    points = torch.rand(5, *shape)
    encoder.eval()
    alone = torch.cat([encoder(point[None]).embedding for point in points])
    torch.testing.assert_close(encoder(points).embedding, alone)


def test_different_points_get_different_embeddings(fitted):
    encoder, shape = fitted
    # Many points: a narrow point may fall where every hidden feature is 0.
    embeddings = encoder.eval()(torch.randn(20, *shape)).embedding
    assert len(embeddings.unique(dim=0)) > 10


def test_evaluation_repeats_itself_and_leaves_no_trace(fitted):
    encoder, shape = fitted
    points = torch.rand(5, *shape)
    before = {name: value.clone() for name, value in encoder.eval().state_dict().items()}
    assert torch.equal(encoder(points).embedding, encoder(points).embedding)
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())


def test_the_points_are_left_as_they_are(fitted):
    encoder, shape = fitted
    points = torch.rand(5, *shape)
    before = points.clone()
    encoder.train()(points)
    assert torch.equal(points, before)


@pytest.mark.parametrize(("variant", "shape"), PROGRAMS, ids=map(case_name, PROGRAMS))
def test_a_pack_encodes_as_its_members_do_alone(variant, shape):
    of_members = float_options(catalogue.load("encoder", variant[0]))
    members = [built(variant, shape, **values).eval() for values in of_members]
    points = torch.rand(3, 5, *shape)

    def call(encoder, points):
        return encoder(points).embedding

    torch.testing.assert_close(stacked(members, call)(points), looped(members, call)(points))
