import numpy as np
import pytest
import torch
from torch.nn.functional import linear

from tests.trainables.trials import clouds, combined
from trainables import catalogue
from trainables.encoders.linear import LinearEncoder
from trainables.member import Member
from trainables.wrappers.groupface import GroupfaceWrapper

WIDTH, LATENT = 4, 3


@pytest.fixture(params=["soft", "hard"])
def wrapper(request):
    torch.manual_seed(0)
    encoder = LinearEncoder((5,), width=WIDTH)
    return GroupfaceWrapper(encoder, latent=LATENT, grouping=6, assignment=request.param).double()


def naive(wrapper, point):
    """The embedding of one point, group by group."""
    shared = wrapper.encoder(point[None]).embedding[0]
    instance = linear(shared, wrapper.instance.weight, wrapper.instance.bias)
    features = instance
    for layer in wrapper.grouping[:-1]:
        features = linear(features, layer.weight, layer.bias).clamp_min(0)
    logits = linear(features, wrapper.grouping[-1].weight, wrapper.grouping[-1].bias)
    shares = logits.exp() / logits.exp().sum()
    if wrapper.assignment == "hard":
        shares = torch.tensor([float(k == int(shares.argmax())) for k in range(LATENT)]).double()
    weights = wrapper.groups.weight.view(LATENT, WIDTH, WIDTH)
    return instance + sum(shares[k] * weights[k] @ shared for k in range(LATENT)), logits


def test_an_embedding_is_the_instance_and_what_its_groups_add(wrapper):
    points = torch.randn(7, 5, dtype=torch.float64)
    output = wrapper(points)
    expected = [naive(wrapper, point) for point in points]
    torch.testing.assert_close(output.embedding, torch.stack([e for e, _ in expected]))
    torch.testing.assert_close(output.group_logits, torch.stack([logits for _, logits in expected]))


def test_the_network_of_the_groups_has_three_layers_and_the_encoders_width_is_kept(wrapper):
    assert [layer.out_features for layer in wrapper.grouping] == [6, 6, LATENT]
    assert (wrapper.width, wrapper.latent, wrapper.shape) == (WIDTH, LATENT, (5,))


@pytest.mark.parametrize("assignment", ["soft", "hard"])
@pytest.mark.parametrize("encoder", ["linear", "mlp"])
@pytest.mark.parametrize("level", ["points", "groups", "both"])
def test_every_parameter_learns_around_every_encoder(encoder, assignment, level):
    configuration = combined(
        (f"groupface-{encoder}", {"width": 8, "assignment": assignment}),
        ("mean", {}),
        ("triplet", {"level": level}),
    )
    points = clouds(3, 8, apart=0.1)
    member = Member(configuration, points, np.arange(len(points)), 0, unit_length=True)
    member.train_epoch()
    found = {n: float(p.grad.abs().max()) for n, p in member.model.named_parameters()}
    assert len(found) > 8
    assert [name for name, value in found.items() if not value > 0] == []


def test_its_options_stand_beside_those_of_the_encoder():
    options = catalogue.options(catalogue.load("encoder", "groupface-mlp"))
    assert list(options)[-3:] == ["latent", "grouping", "assignment"]
    assert {"width", "hidden", "depth", "dropout"} <= set(options)
