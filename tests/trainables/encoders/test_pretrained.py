from copy import deepcopy
from shutil import copytree

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import interpolate

from tests.trainables.tiny_models import KINDS, tiny_model, write
from tests.trainables.trials import combined, images
from trainables.encoders.pretrained import PretrainedEncoder
from trainables.model import GroupModel

SHAPE = (3, 20, 24)
PATCHES = 4
VISION = [kind for kind in KINDS if kind != "Bert"]
LEARNING = [kind for kind in VISION if kind != "ResNet"]
"""Those whose gradients do not depend on what batch normalisation makes of a batch."""
WAVES = ("backbone.network.embeddings.position_embeddings",)
"""Of a masked autoencoder: no parameters to the library."""
NOTHING = 1e-12
"""Share of the largest gradient, in float64."""


def encoder(kind="ViT", **options):
    torch.manual_seed(0)
    return PretrainedEncoder(SHAPE, model=tiny_model(kind), **{"width": 5, **options})


def transformed(kind, points, mean, deviation):
    """What the library itself makes of images of the model's size."""
    from transformers import AutoConfig, AutoModel, CLIPVisionModel

    folder = tiny_model(kind)
    side = getattr(AutoConfig.from_pretrained(folder), "image_size", None)
    side = side or {"CLIP": 16, "ResNet": 224}[kind]
    resized = interpolate(points, (side, side), mode="bilinear", antialias=True)
    channels = zip(resized.unbind(1), mean, deviation, strict=True)
    values = torch.stack([(channel - m) / d for channel, m, d in channels], 1)
    network = (CLIPVisionModel if kind == "CLIP" else AutoModel).from_pretrained(folder)
    network.config.mask_ratio = 0.0
    with torch.no_grad():
        return network.eval()(pixel_values=values).last_hidden_state


def mean_of_patches(kind, hidden):
    if hidden.dim() == 4:
        return hidden.flatten(2).mean(2)
    last = hidden.shape[1] if kind == "Swin" else PATCHES
    return torch.stack([tokens[-last:].sum(0) / last for tokens in hidden])


@pytest.mark.parametrize("fine_tuned", [False, True])
@pytest.mark.parametrize("kind", VISION)
def test_the_mean_of_the_models_patches_is_mapped_to_the_embedding(kind, fine_tuned):
    network = encoder(kind, fine_tuned=fine_tuned).eval()
    points = torch.rand(3, *SHAPE)
    pooled = mean_of_patches(kind, transformed(kind, points, [0.5] * 3, [0.5] * 3))
    expected = pooled @ network.last.weight.T + network.last.bias
    torch.testing.assert_close(network(points).embedding, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["ViT", "Dinov2WithRegisters", "CLIP"])
def test_the_class_token_is_the_first_one(kind):
    network = encoder(kind, pooling="class_token").eval()
    points = torch.rand(3, *SHAPE)
    first = transformed(kind, points, [0.5] * 3, [0.5] * 3)[:, 0]
    torch.testing.assert_close(network(points).embedding, network.last(first))


def test_images_are_normalised_as_the_model_says(tmp_path):
    folder = copytree(tiny_model(), tmp_path / "model")
    (folder / "preprocessor_config.json").write_text(
        '{"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]}'
    )
    network = PretrainedEncoder(SHAPE, model=str(folder))
    points = torch.rand(3, *SHAPE)
    hidden = transformed("ViT", points, [0.1, 0.2, 0.3], [0.4, 0.5, 0.6])
    expected = network.last(mean_of_patches("ViT", hidden))
    torch.testing.assert_close(network(points).embedding, expected)


def test_images_of_the_models_own_size_are_not_resized(monkeypatch):
    network = PretrainedEncoder((3, 16, 16), model=tiny_model())
    monkeypatch.setattr("trainables.encoders.pretrained.interpolate", None)
    assert network(torch.rand(2, 3, 16, 16)).embedding.shape == (2, 64)


def test_grey_images_are_repeated_to_three_channels():
    grey = torch.rand(3, 1, 20, 24)
    same = encoder()(grey.repeat(1, 3, 1, 1)).embedding
    torch.testing.assert_close(encoder()(grey).embedding, same)


def stepped(network):
    """The state before and after a step of training."""
    before = deepcopy(network.state_dict())
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1)
    network.train()
    network(torch.rand(4, *SHAPE)).embedding.square().mean().backward()
    optimizer.step()
    return before, network.state_dict()


@pytest.mark.parametrize("kind", ["ViT", "ResNet"])
def test_of_a_frozen_backbone_nothing_changes_but_the_map_after_it(kind):
    network = encoder(kind)
    hidden = network.backbone.hidden[0]
    untouched = deepcopy(hidden.state_dict())
    before, after = stepped(network)
    assert {name for name in after if not torch.equal(after[name], before[name])} == {
        "last.weight",
        "last.bias",
    }
    assert all(torch.equal(value, untouched[name]) for name, value in hidden.state_dict().items())


def test_a_fine_tuned_backbone_changes_but_for_what_has_no_influence():
    network = encoder(fine_tuned=True)
    before, after = stepped(network)
    prefix = "backbone.network."
    kept = {name.removeprefix(prefix) for name in after if torch.equal(after[name], before[name])}
    assert kept == {
        "mean",
        "deviation",
        "pooler.dense.weight",
        "pooler.dense.bias",
        "layers.0.attention.k_proj.bias",
        "layers.1.attention.k_proj.bias",
    }


@pytest.mark.parametrize("kind", LEARNING)
def test_what_learns_has_an_influence_and_what_does_not_has_none(kind):
    network = encoder(kind, fine_tuned=True).double()
    learns = {name for name, p in network.named_parameters() if p.requires_grad}
    never = {name for name in WAVES if kind == "ViTMAE"}
    network.requires_grad_(True)
    embeddings = network(torch.rand(4, *SHAPE, dtype=torch.float64)).embedding
    embeddings.square().sum().backward()
    largest = {
        n: 0 if p.grad is None else p.grad.abs().max() for n, p in network.named_parameters()
    }
    moved = {name for name, value in largest.items() if value > NOTHING * max(largest.values())}
    assert moved - never == learns


def test_a_frozen_backbone_drops_nothing_out_and_a_fine_tuned_one_does(tmp_path):
    model = write(tmp_path, "ViT", hidden_dropout_prob=0.5)
    points = torch.rand(3, *SHAPE)
    for fine_tuned in (False, True):
        network = PretrainedEncoder(SHAPE, model=model, fine_tuned=fine_tuned)
        both = [network.train(mode)(points).embedding for mode in (True, False)]
        assert torch.equal(*both) != fine_tuned


def test_frozen_backbones_of_one_model_are_one_and_copies_share_it():
    first, second = encoder(), encoder(pooling="class_token")
    assert first.backbone is second.backbone
    assert deepcopy(first).backbone is first.backbone
    copy = deepcopy(encoder(fine_tuned=True))
    assert copy.backbone is not first.backbone


def test_first_weights_do_not_depend_on_whether_the_model_was_read_before(tmp_path):
    models = [write(tmp_path / name, "ViT") for name in ("one", "other")]
    drawn = []
    for model in (models[0], models[0], models[1]):
        torch.manual_seed(3)
        drawn.append(PretrainedEncoder(SHAPE, model=model).last.weight)
    assert torch.equal(drawn[0], drawn[1])
    assert torch.equal(drawn[0], drawn[2])


def test_a_frozen_backbone_follows_the_precision_of_its_encoder():
    points = torch.rand(3, *SHAPE)
    expected = encoder()(points).embedding
    found = encoder().double()(points.double()).embedding
    assert found.dtype == torch.float64
    torch.testing.assert_close(found.float(), expected)
    torch.testing.assert_close(encoder()(points).embedding, expected)


def group_model(model, fine_tuned):
    options = {"model": model, "width": 5, "fine_tuned": fine_tuned}
    parts = combined(("pretrained", options), ("mean", {}), ("triplet", {}))
    return GroupModel(parts, images().shape, unit_length=True).eval()


@pytest.mark.parametrize("fine_tuned", [False, True])
def test_saved_weights_of_several_models_are_loaded_again(tmp_path, fine_tuned):
    models = [group_model(tiny_model(), fine_tuned) for _ in range(2)]
    states = {
        f"{i}.{n}": t for i, model in enumerate(models) for n, t in model.state_dict().items()
    }
    save_file(states, tmp_path / "weights.safetensors")
    again = group_model(tiny_model(), fine_tuned)
    found = load_file(tmp_path / "weights.safetensors")
    again.load_state_dict({name[2:]: t for name, t in found.items() if name.startswith("1.")})
    points, mask = torch.rand(2, 3, 1, 16, 16), torch.ones(2, 3, dtype=torch.bool)
    assert torch.equal(again(points, mask), models[1](points, mask))


def test_the_state_of_a_frozen_backbone_is_a_number(tmp_path):
    states = [encoder(fine_tuned=fine_tuned).state_dict() for fine_tuned in (False, True)]
    sizes = [sum(value.numel() for value in state.values()) for state in states]
    assert sizes[0] == 3 + 3 + 1 + 16 * 5 + 5
    assert sizes[1] > 1000


def test_weights_are_not_loaded_beside_another_frozen_backbone(tmp_path):
    other = write(tmp_path, "ViT", seed=1)
    problem = f"'{other}' is not the model that the weights were trained with"
    with pytest.raises(ValueError, match=problem):
        group_model(other, False).load_state_dict(group_model(tiny_model(), False).state_dict())


def test_a_masked_autoencoder_sees_every_patch():
    network = encoder("ViTMAE").eval()
    points = torch.rand(3, *SHAPE)
    torch.testing.assert_close(network(points).embedding, network(points).embedding)


@pytest.mark.parametrize(
    ("model", "pooling", "problem"),
    [
        ("", "mean", "model: names none; give a folder's absolute path or a name on the Hugging "),
        ("/nowhere", "mean", "model: there is no folder '/nowhere'"),
        ("Bert", "mean", "model: '[^']*' .bert. makes no features of colour images"),
        ("Swin", "class_token", "pooling: '[^']*' has no class token; use mean"),
        ("ConvNext", "class_token", "pooling: '[^']*' has no class token; use mean"),
    ],
)
def test_what_cannot_be_is_refused(model, pooling, problem):
    options = {"model": tiny_model(model) if model in KINDS else model, "pooling": pooling}
    (found,) = PretrainedEncoder.check(**options, width=5, fine_tuned=False)
    with pytest.raises(ValueError, match=f"^{problem}"):
        raise ValueError(found)
    with pytest.raises(ValueError, match=f"^{problem}"):
        PretrainedEncoder(SHAPE, **options)


@pytest.mark.parametrize("pooling", ["mean", "class_token"])
def test_a_model_that_can_be_read_is_legal(pooling):
    assert PretrainedEncoder.check(model=tiny_model(), pooling=pooling) == []


@pytest.mark.parametrize(
    ("shape", "problem"),
    [
        ((1, 28, 28), None),
        ((3, 5, 7), None),
        ((2, 28, 28), "pretrained needs images of 1 or 3 channels, got 2; use conv4"),
        ((64,), "pretrained needs images, got points of shape 64; use linear or mlp"),
    ],
)
def test_points_are_grey_or_colour_images(shape, problem):
    assert PretrainedEncoder.unfit(shape) == problem
