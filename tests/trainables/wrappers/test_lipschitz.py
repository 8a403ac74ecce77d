import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d

from tests.trainables.trials import clouds, combined, images
from tests.trainables.variants import looped, stacked
from trainables import catalogue
from trainables.contracts import Encoder, EncoderOutput
from trainables.encoders.conv4 import Conv4Encoder
from trainables.encoders.identity import IdentityEncoder
from trainables.encoders.linear import LinearEncoder
from trainables.encoders.mlp import MlpEncoder
from trainables.member import Member
from trainables.wrappers.lipschitz import LipschitzWrapper

IMAGE = (2, 17, 20)
MADE = {
    "identity": lambda: IdentityEncoder((5,)),
    "linear": lambda: LinearEncoder((5,), width=4),
    "mlp": lambda: MlpEncoder((5,), width=4, hidden=7, depth=2, dropout=0.3),
    "conv4": lambda: Conv4Encoder(IMAGE, width=4, channels=3),
}
LOOSE = 1e6


def made(name, bound, scale=1.0):
    """A wrapper in float64 that has seen a few batches; its weights are multiplied by a scale."""
    wrapper = LipschitzWrapper(MADE[name](), bound=bound).double()
    for parameter in wrapper.parameters():
        parameter.data.mul_(scale)
    for _ in range(5):
        wrapper(torch.randn(6, *wrapper.shape, dtype=torch.float64))
    return wrapper.eval()


def largest_singular_value(matrix):
    return torch.linalg.eigvalsh(matrix @ matrix.T)[-1].sqrt().item()


def stretch(wrapper, points, others):
    apart = (wrapper(points).embedding - wrapper(others).embedding).norm(dim=1)
    return apart / (points - others).flatten(1).norm(dim=1)


def steepest(wrapper, points=20):
    """Largest singular value of the true Jacobian at random points."""
    found = []
    for point in torch.randn(points, *wrapper.shape, dtype=torch.float64):
        jacobian = torch.autograd.functional.jacobian(
            lambda one: wrapper(one[None]).embedding[0], point
        )
        found.append(largest_singular_value(jacobian.flatten(1)))
    return max(found)


@pytest.mark.parametrize("scale", [0.1, 3.0])
@pytest.mark.parametrize("bound", [0.5, 8.0, LOOSE])
@pytest.mark.parametrize("name", MADE)
def test_nothing_is_stretched_by_more_than_the_constant(name, bound, scale):
    wrapper = made(name, bound, scale)
    constant = wrapper.lipschitz()
    assert 0 < constant <= bound
    points = torch.randn(1000, *wrapper.shape, dtype=torch.float64)
    near = points + 1e-3 * torch.randn_like(points)
    with torch.no_grad():
        for others in (points.flip(0), near):
            assert stretch(wrapper, points, others).max().item() <= constant * (1 + 1e-9)
    assert steepest(wrapper) <= constant * (1 + 1e-9)


@pytest.mark.parametrize("bound", [0.25, LOOSE])
def test_the_constant_of_an_affine_map_is_exact_and_attained(bound):
    wrapper = made("linear", bound)
    weight = wrapper.encoder.layers[1].weight
    largest = largest_singular_value(weight)
    assert wrapper.lipschitz() == pytest.approx(min(largest, bound), rel=1e-12)
    assert steepest(wrapper, 1) == pytest.approx(wrapper.lipschitz(), rel=2e-6)


def test_the_constant_of_a_chain_is_the_product_of_those_of_its_layers():
    wrapper = made("mlp", LOOSE)
    layers = [*wrapper.encoder.hidden, wrapper.encoder.last]
    product = math.prod(largest_singular_value(layer.weight) for layer in layers)
    assert wrapper.lipschitz() == pytest.approx(product, rel=1e-12)


def test_an_encoder_below_the_bound_is_left_as_it_is():
    wrapper = made("mlp", LOOSE)
    points = torch.randn(6, 5, dtype=torch.float64)
    assert torch.equal(wrapper(points).embedding, wrapper.encoder(points).embedding)


@pytest.mark.parametrize("bound", [0.5, 2.0])
def test_the_identity_is_shrunk_to_the_bound_and_not_stretched(bound):
    wrapper = made("identity", bound)
    points = torch.randn(6, 5, dtype=torch.float64)
    expected = min(bound, 1.0) * points
    torch.testing.assert_close(wrapper(points).embedding, expected, rtol=2e-6, atol=0)
    assert wrapper.lipschitz() == min(bound, 1.0)


def test_batch_normalisation_is_counted_with_the_convolution_before_it():
    wrapper = made("conv4", LOOSE)
    blocks, last = wrapper.encoder.blocks, wrapper.encoder.last
    product = largest_singular_value(last.weight)
    for place in range(0, len(blocks), 4):
        kernel, batch = blocks[place].weight, blocks[place + 1]
        rows = batch.weight / (batch.running_var + batch.eps).sqrt()
        product *= 3 * largest_singular_value(rows[:, None] * kernel.flatten(1))
    assert wrapper.lipschitz() == pytest.approx(product, rel=1e-12)


class Chain(Encoder):
    """Any layers, one after the other."""

    is_chain = True

    def __init__(self, shape, *layers):
        super().__init__(shape, 0)
        self.layers = nn.Sequential(*layers)

    def forward(self, points):
        return EncoderOutput(self.layers(points).flatten(1))


@pytest.mark.parametrize(
    ("side", "stride", "padding"), [(3, 1, 1), (3, 2, 0), (4, 2, 2), (2, 3, 0)]
)
def test_a_convolution_stretches_no_image_by_more_than_its_constant(side, stride, padding):
    layer = nn.Conv2d(2, 3, side, stride, padding, bias=False).double()
    constant = LipschitzWrapper(Chain((2, 9, 9), layer), bound=LOOSE).lipschitz()
    unit = torch.eye(2 * 81, dtype=torch.float64).view(-1, 2, 9, 9)
    matrix = conv2d(unit, layer.weight, stride=stride, padding=padding).flatten(1)
    largest = largest_singular_value(matrix)
    repeats = math.ceil(side / stride)
    assert largest <= constant * (1 + 1e-12)
    assert constant <= repeats * largest * (1 + 1e-12)
    if repeats == 1:
        assert constant == pytest.approx(largest, rel=1e-12)


def test_overlapping_windows_count_a_number_once_for_each():
    pools = {2: nn.MaxPool2d(2), 4: nn.MaxPool2d(3, 2), 9: nn.MaxPool2d(3, 1)}
    for windows, pool in pools.items():
        wrapper = LipschitzWrapper(Chain((1, 9, 9), pool), bound=LOOSE)
        expected = 1 if windows == 2 else windows**0.5
        assert wrapper.lipschitz() == pytest.approx(expected)
    # One number that is the largest of nine windows.
    peak = torch.zeros(1, 1, 9, 9)
    peak[0, 0, 4, 4] = 1
    assert stretch(wrapper, peak, 0 * peak).item() == pytest.approx(3)


@pytest.mark.parametrize(
    "layer",
    [
        nn.GELU(),
        nn.LayerNorm(5),
        nn.Conv2d(2, 2, 3, groups=2),
        nn.Conv2d(2, 2, 3, dilation=2),
        nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"),
        nn.BatchNorm2d(2),
    ],
    ids=str,
)
def test_a_layer_of_unknown_constant_is_no_part_of_a_chain(layer):
    with pytest.raises(TypeError, match=r"has no known Lipschitz constant$"):
        LipschitzWrapper(Chain((2, 5, 5), layer))


@pytest.mark.parametrize(
    ("name", "shape"),
    [("resnet12", IMAGE), ("resnet18", IMAGE), ("transformer", (5,)), ("groupface-mlp", (5,))],
)
def test_encoders_that_are_no_chain_are_refused_in_words(name, shape):
    wrapped = catalogue.load("encoder", f"lipschitz-{name}")
    assert wrapped.unfit(shape) == (
        "lipschitz needs an encoder whose layers follow one another and have known constants, and "
        f"{name.partition('-')[0]} is none; use linear, mlp or conv4"
    )
    with pytest.raises(TypeError, match="is no chain of layers"):
        wrapped(shape)


@pytest.mark.parametrize("name", MADE)
def test_chains_fit_with_their_own_rules(name):
    wrapped = catalogue.load("encoder", f"lipschitz-{name}")
    assert wrapped.unfit(IMAGE) is None
    assert (wrapped.unfit((5,)) is None) == (name != "conv4")
    assert wrapped(IMAGE, bound=2.0).bound.item() == 2.0


@pytest.mark.parametrize(("value", "legal"), [(0.0, False), (0.01, True), (1e7, False)])
def test_the_bound_is_positive(value, legal):
    option = catalogue.options(LipschitzWrapper)["bound"]
    assert (option.problem(value) is None) == legal


@pytest.mark.parametrize("name", ["linear", "mlp", "conv4"])
def test_the_estimate_in_training_comes_close_from_below(name):
    wrapper = made(name, 0.5).train()
    wrapper.encoder.eval()  # batch statistics stay
    points = torch.randn(6, *wrapper.shape, dtype=torch.float64)
    for parameter in wrapper.parameters():
        parameter.data.copy_(3 * torch.rand_like(parameter) - 1)
    training = [wrapper(points).embedding for _ in range(100)]
    evaluated = wrapper.eval()(points).embedding
    assert training[0].norm() > evaluated.norm() * 1.0001
    assert training[-1].norm() >= evaluated.norm() * (1 - 1e-9)
    torch.testing.assert_close(training[-1], evaluated, rtol=1e-4, atol=0)


def test_a_map_that_is_0_stays_finite_and_can_leave_0():
    wrapper = LipschitzWrapper(LinearEncoder((5,), width=4))
    weight = wrapper.encoder.layers[1].weight
    saved = weight.data.clone()
    weight.data.zero_()
    wrapper(torch.randn(6, 5)).embedding.square().sum().backward()
    assert weight.grad.isfinite().all()
    assert wrapper.lipschitz() == 0
    weight.data.copy_(100 * saved)
    for _ in range(50):
        embedding = wrapper(torch.randn(6, 5)).embedding
    assert wrapper.lipschitz() == 1
    assert embedding.norm() < 100


def test_two_batches_may_come_before_a_gradient():
    wrapper = made("mlp", 0.5).train()
    points = torch.randn(2, 6, 5, dtype=torch.float64)
    sum(wrapper(batch).embedding.square().sum() for batch in points).backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in wrapper.parameters())


TRAINED = {"linear": clouds(3, 8, apart=0.1), "mlp": clouds(3, 8, apart=0.1), "conv4": images(3, 8)}


@pytest.mark.parametrize("unit_length", [True, False])
@pytest.mark.parametrize("name", TRAINED)
def test_training_moves_every_parameter_and_keeps_the_constant(name, unit_length):
    points = TRAINED[name]
    option = {"channels": 4} if name == "conv4" else {}
    configuration = combined(
        (f"lipschitz-{name}", {"width": 8, "bound": 0.7, **option}),
        ("mean", {}),
        ("triplet", {"level": "both"}),
        learning_rate=0.05,
    )
    member = Member(configuration, points, np.arange(len(points)), 0, unit_length)
    before = {n: p.detach().clone() for n, p in member.model.named_parameters()}
    for _ in range(3):
        member.train_epoch()
        assert member.model.encoder.lipschitz() <= 0.7
    parameters = dict(member.model.named_parameters())
    assert [n for n, p in parameters.items() if torch.equal(p, before[n])] == []
    # The last bias shifts all embeddings alike, which distances do not see.
    seen = [n for n in parameters if unit_length or n != list(parameters)[-1]]
    assert [n for n in seen if not float(parameters[n].grad.abs().max()) > 0] == []


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", MADE)
def test_a_pack_encodes_as_its_members_do_alone(name, training):
    members = [LipschitzWrapper(MADE[name](), bound=bound) for bound in (0.3, 1.0, 50.0)]
    for member in members:
        member.train(training)
        if name == "mlp":
            member.encoder.eval()  # dropout draws for itself
    points = torch.rand(3, 6, *members[0].shape)

    def call(encoder, points):
        return encoder(points).embedding

    together = stacked(members, call)(points)
    torch.testing.assert_close(together, looped(members, call)(points))
