import json
import pickle
import subprocess
import sys
from shutil import copytree

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.trainables.tiny_models import tiny_model, write
from trainables import backbones
from trainables.backbones import fingerprint, loaded, traced, unreadable

PIXELS = [0.1, 0.2, 0.3], [0.4, 0.5, 0.6]


@pytest.fixture
def folder(tmp_path):
    """A copy of the vision transformer, to be changed."""
    return copytree(tiny_model(), tmp_path / "model")


@pytest.fixture
def is_offline(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def test_the_library_is_not_imported_before_a_model_is_read():
    program = """
import sys
from trainables.encoders.pretrained import PretrainedEncoder
print(PretrainedEncoder.check(model="", pooling="mean"), "transformers" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    problem = "model: names none; give a folder's absolute path or a name on the Hugging Face hub"
    assert done.stdout == f"{[problem]} False\n"


def test_a_model_needs_the_library(monkeypatch):
    model = tiny_model()
    monkeypatch.setitem(sys.modules, "transformers", None)
    problem = 'needs transformers; pip install "groupstudy[pretrained]"'
    assert unreadable(model) == problem


def test_a_folder_is_there_and_holds_a_configuration_and_safetensors(folder):
    assert unreadable(str(folder)) is None
    (folder / "model.safetensors").rename(folder / "model.bin")
    remedy = "write the folder with save_pretrained"
    assert unreadable(str(folder)) == f"'{folder}' has no weights as safetensors; {remedy}"
    (folder / "config.json").unlink()
    assert unreadable(str(folder)) == f"'{folder}' has no config.json; {remedy}"
    gone = folder / "gone"
    assert unreadable(str(gone)) == f"there is no folder '{gone}'"


@pytest.mark.parametrize("model", ["model", "./model", "../model", "~/model", "a b", "a/b/c", "\0"])
def test_a_folder_is_named_by_its_absolute_path(folder, monkeypatch, model):
    monkeypatch.chdir(folder.parent)
    path = f"{str(folder.parent / model)!r}"
    assert unreadable(model) == f"a folder must be an absolute path, got {model!r}; use {path}"


@pytest.mark.parametrize("model", ["facebook/dinov2-small", "resnet-18", "a_b/c.d-e"])
def test_a_name_on_the_hub_is_not_looked_up(model):
    assert unreadable(model) is None


@pytest.mark.usefixtures("is_offline")
def test_a_model_that_the_hub_does_not_give_is_refused():
    with pytest.raises(ValueError, match="'nobody/nothing' cannot be read: "):
        traced("nobody/nothing")


@pytest.mark.parametrize("file", ["config.json", "preprocessor_config.json"])
def test_a_folder_with_a_file_that_is_no_json_is_refused(folder, file):
    (folder / file).write_text("{")
    with pytest.raises(ValueError, match=f"'{folder}' cannot be read: "):
        traced(str(folder))


def test_a_model_of_text_is_refused():
    with pytest.raises(ValueError, match=r"\(bert\) makes no features of colour images: "):
        traced(tiny_model("Bert"))


def test_a_model_of_grey_images_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"\(vit\) makes no features of colour images: "):
        traced(write(tmp_path, "ViT", num_channels=1))


@pytest.mark.parametrize(
    ("kind", "sides", "features", "extra", "unused"),
    [
        ("ViT", (16, 16), 16, 1, {"pooler.dense.weight", "pooler.dense.bias"}),
        ("Dinov2WithRegisters", (16, 16), 16, 4, {"embeddings.mask_token"}),
        ("CLIP", (16, 16), 16, 1, {"post_layernorm.weight", "post_layernorm.bias"}),
        ("ViTMAE", (16, 16), 16, 1, set()),
        ("Swin", (32, 32), 16, 0, set()),
        ("ConvNext", (32, 32), 12, 0, {"layernorm.weight", "layernorm.bias"}),
        ("ResNet", (224, 224), 12, 0, set()),
    ],
)
def test_shapes_and_unused_parameters_are_found_without_the_weights(
    kind, sides, features, extra, unused
):
    known = traced(tiny_model(kind))
    assert (known.sides, known.features, known.extra) == (sides, features, extra)
    assert known.unused == unused


@pytest.mark.parametrize(
    ("written", "mean", "deviation"),
    [
        (None, [0.5], [0.5]),
        ({}, [0.5], [0.5]),
        ({"image_mean": PIXELS[0], "image_std": PIXELS[1]}, *PIXELS),
        ({"do_normalize": False, "image_mean": PIXELS[0]}, [0.0], [1.0]),
    ],
)
def test_images_are_normalised_as_the_model_says(folder, written, mean, deviation):
    if written is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(written))
    known = traced(str(folder))
    assert torch.equal(known.mean, torch.tensor(mean).expand(3)[:, None, None])
    assert torch.equal(known.deviation, torch.tensor(deviation).expand(3)[:, None, None])


def without(folder, *names):
    weights = load_file(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if name not in names}
    assert len(kept) == len(weights) - len(names)
    save_file(kept, folder / "model.safetensors", {"format": "pt"})


def test_weights_that_matter_must_all_be_there(folder):
    without(folder, "pooler.dense.weight")
    loaded(str(folder))
    without(folder, "layernorm.weight")
    with pytest.raises(ValueError, match=f"^model: '{folder}' lacks weights, such as layernorm.we"):
        loaded(str(folder))


def test_weights_of_half_precision_become_whole(folder):
    weights = load_file(folder / "model.safetensors")
    halves = {name: tensor.half() for name, tensor in weights.items()}
    save_file(halves, folder / "model.safetensors", {"format": "pt"})
    assert {p.dtype for p in loaded(str(folder)).parameters()} == {torch.float32}


class Shout:
    """What a pickle would do that somebody meant badly."""

    def __reduce__(self):
        return (pytest.fail, ("a pickle was read",))


def test_a_pickle_is_never_read(folder):
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Shout()))
    with pytest.raises(OSError, match="safetensors"):
        loaded(str(folder))


def test_code_that_comes_with_a_model_is_never_run(folder, tmp_path):
    configuration = json.loads((folder / "config.json").read_text())
    foreign = {"AutoConfig": "code.Configuration", "AutoModel": "code.Model"}
    changed = {**configuration, "model_type": "foreign", "auto_map": foreign}
    (folder / "config.json").write_text(json.dumps(changed))
    (folder / "code.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(ValueError, match="cannot be read: "):
        traced(str(folder))
    assert not (tmp_path / "ran").exists()


def test_reading_takes_no_random_number_and_says_nothing(folder, capfd):
    without(folder, "pooler.dense.weight")
    before = torch.get_rng_state()
    loaded(str(folder))
    assert torch.equal(torch.get_rng_state(), before)
    assert capfd.readouterr() == ("", "")


def test_a_fingerprint_tells_weights_from_others(tmp_path):
    models = [write(tmp_path / str(seed), "ViT", seed) for seed in (0, 1)]
    unused = traced(tiny_model()).unused
    same, other = (fingerprint(loaded(model), unused) for model in models)
    assert fingerprint(loaded(tiny_model()), unused) == same
    assert same != other


def test_a_fingerprint_does_not_see_what_is_unused(folder):
    without(folder, "pooler.dense.weight")
    networks = [loaded(model) for model in (tiny_model(), str(folder))]
    assert len({fingerprint(network, traced(tiny_model()).unused) for network in networks}) == 1
    assert len({fingerprint(network, frozenset()) for network in networks}) == 2


def test_what_is_known_of_a_model_is_kept_and_what_is_wrong_is_not(folder):
    (folder / "config.json").rename(folder / "kept.json")
    with pytest.raises(ValueError, match="cannot be read"):
        traced(str(folder))
    (folder / "kept.json").rename(folder / "config.json")
    assert traced(str(folder)) is backbones.traced(str(folder))
