"""Vision models of Hugging Face transformers: what can be read of them, and their weights.

The library is imported by those functions that read a model and by nothing else, so that all but
pretrained encoders work without it.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from hashlib import sha256
from importlib import import_module
from importlib.util import find_spec
from json import loads
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?", re.ASCII)
CHANNELS = 3
USUAL_SIDE = 224
"""Of images whose model takes any size and names none."""
IDLE = (".key.bias", ".k_proj.bias")
"""Ends of the names of parameters that the softmax of attention takes away."""


class Traced(NamedTuple):
    """What is known of a model without its weights.

    ``mean``, ``deviation`` and ``sides`` of its images, ``features`` of each place, ``extra``
    tokens before those of patches, and its parameters: ``unused`` ones never reach the last hidden
    state, ``learning`` ones can change it and are not held fixed by the library.
    """

    config: Any
    mean: Tensor
    deviation: Tensor
    sides: tuple[int, int]
    features: int
    extra: int
    unused: frozenset[str]
    learning: frozenset[str]


def unreadable(model: str) -> str | None:
    """Why a model cannot be read, as far as names and files tell; imports nothing.

    Args:
        model: the absolute path of a folder, or a name on the hub.
    """
    if not model:
        return "names none; give a folder's absolute path or a name on the Hugging Face hub"
    if find_spec("transformers") is None:
        return 'needs transformers; pip install "groupstudy[pretrained]"'
    folder = Path(model)
    if not folder.is_absolute():
        if HUB_NAME.fullmatch(model) and not folder.is_dir():
            return None
        return f"a folder must be an absolute path, got {model!r}; use {str(Path.cwd() / model)!r}"
    if not folder.is_dir():
        return f"there is no folder {model!r}"
    if not (folder / "config.json").is_file():
        return f"{model!r} has no config.json; write the folder with save_pretrained"
    if not any(folder.glob("*.safetensors")):
        return f"{model!r} has no weights as safetensors; write the folder with save_pretrained"
    return None


@lru_cache(maxsize=8)
def traced(model: str) -> Traced:
    """Follows an image through a model on the meta device: shapes and names, no numbers.

    Raises:
        ValueError: if the model is not found, or turns no images into features.
    """
    config, preprocessing = _written(model)
    sides = _pair(getattr(config, "image_size", None) or USUAL_SIDE)
    try:
        with _apart(), torch.enable_grad(), torch.device("meta"):
            network = _transformers().AutoModel.from_config(config, dtype=torch.float32).eval()
            features = network(pixel_values=torch.empty(1, CHANNELS, *sides)).last_hidden_state
            named = {name: p for name, p in network.named_parameters() if p.requires_grad}
            gradients = torch.autograd.grad(features.sum(), [*named.values()], allow_unused=True)
    except Exception as error:  # whatever a model of another kind may raise
        reason = f"makes no features of colour images: {_first_line(error)}"
        raise ValueError(f"{model!r} ({config.model_type}) {reason}") from error
    reached = dict(zip(named, gradients, strict=True))
    unused = {name for name, to in reached.items() if to is None or not to.numel()}
    mean, deviation = _normalisation(preprocessing)
    return Traced(
        config=config,
        mean=mean,
        deviation=deviation,
        sides=sides,
        features=features.shape[1] if features.dim() == 4 else features.shape[2],
        extra=_extra_tokens(config, features, sides),
        unused=frozenset(unused),
        learning=frozenset(n for n in named if n not in unused and not n.endswith(IDLE)),
    )


def loaded(model: str) -> nn.Module:
    """A model with its weights in float32, read from safetensors and nothing else.

    Raises:
        ValueError: if weights that its features depend on are missing.
    """
    known = traced(model)
    with _apart():
        network, report = _transformers().AutoModel.from_pretrained(
            model,
            config=known.config,
            dtype=torch.float32,
            use_safetensors=True,
            output_loading_info=True,
            **_reading(model),
        )
    lost = sorted(set(report["missing_keys"]) - known.unused)
    if lost:
        raise ValueError(f"model: {model!r} lacks weights, such as {lost[0]}")
    found: nn.Module = network
    return found


def fingerprint(network: nn.Module, unused: frozenset[str]) -> int:
    """A number of 56 bits that tells the weights of a model from others."""
    digest = sha256()
    for name, tensor in network.state_dict().items():
        if name not in unused:
            digest.update(tensor.numpy().tobytes())
    return int.from_bytes(digest.digest()[:7], "big")


def _transformers() -> Any:
    return import_module("transformers")


def _reading(model: str) -> dict[str, Any]:
    """How files of a model are read: a folder's without a network, and no code of its own."""
    return {"local_files_only": Path(model).is_absolute(), "trust_remote_code": False}


@contextmanager
def _apart() -> Iterator[None]:
    """Keeps what a library draws from the random numbers of others, and what it says from users."""
    logging = _transformers().utils.logging
    level, shows_progress = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        logging.set_verbosity(level)
        if shows_progress:
            logging.enable_progress_bar()


def _written(model: str) -> tuple[Any, dict[str, Any]]:
    """What files say of a model, or of its image part if it has others, and of its images."""
    library, reading = _transformers(), _reading(model)
    try:
        config = library.AutoConfig.from_pretrained(model, **reading)
        path = library.utils.cached_file(
            model,
            "preprocessor_config.json",
            _raise_exceptions_for_missing_entries=False,
            **reading,
        )
        preprocessing = loads(Path(path).read_text()) if path else {}
    except (OSError, ValueError) as error:
        raise ValueError(f"{model!r} cannot be read: {_first_line(error)}") from error
    config = getattr(config, "vision_config", config)
    if hasattr(config, "mask_ratio"):
        config.mask_ratio = 0.0  # or a masked autoencoder leaves patches out at random
    return config, preprocessing


def _normalisation(preprocessing: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """Mean and deviation of the channels of images, which broadcast over their places."""
    if preprocessing.get("do_normalize", True):
        values = [preprocessing.get(f"image_{name}", 0.5) for name in ("mean", "std")]
    else:
        values = [0.0, 1.0]
    mean, deviation = (torch.tensor(value).expand(CHANNELS)[:, None, None] for value in values)
    return mean, deviation


def _extra_tokens(config: Any, features: Tensor, sides: tuple[int, int]) -> int:
    """Class and register tokens, which stand before those of the patches."""
    patch = getattr(config, "patch_size", None)
    if features.dim() != 3 or not patch:
        return 0
    patches = [side // length for side, length in zip(sides, _pair(patch), strict=True)]
    return max(0, features.shape[1] - patches[0] * patches[1])


def _pair(length: Any) -> tuple[int, int]:
    height, width = (length, length) if isinstance(length, int) else length
    return height, width


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
