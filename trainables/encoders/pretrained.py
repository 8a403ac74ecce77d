from functools import lru_cache
from typing import Annotated, Any, Literal, final

import torch
from annotated_types import Ge
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import interpolate

from trainables.backbones import CHANNELS, fingerprint, loaded, traced, unreadable
from trainables.contracts import Encoder, EncoderOutput, SearchAmong, no_image


@final
class PretrainedEncoder(Encoder):
    """A vision model of Hugging Face transformers, pooled, then an affine map to the embedding.

    ``W pool(backbone((resize(x) - mean) / deviation)) + b``. Images are stretched to the model's
    own size, bilinear and antialiased, and normalised as its ``preprocessor_config.json`` says, or
    with 0.5 and 0.5 where there is none; grey ones are repeated to three channels. Any model that
    turns images into a ``last_hidden_state`` will do: vision transformers with or without a class
    token, convolutional networks, the image part of models of images and text.

    A frozen backbone stays in evaluation mode, is shared by all encoders of a process and is no
    part of their weights, which hold a fingerprint of it instead; a fine-tuned one is. Either way
    the model must be found under the same name wherever an encoder is built or loaded. Weights are
    read from safetensors only, and code that comes with a model is never run.

    Args:
        shape: channels (1 or 3), height and width of an image.
        model: the absolute path of a folder that ``save_pretrained`` wrote, or a name on the
            Hugging Face hub, such as ``facebook/dinov2-small``; must be named.
        width: floats per embedding.
        fine_tuned: whether the backbone is trained as well, in place of the affine map alone.
        pooling: ``mean`` of the patches or places of the last hidden state, or its ``class_token``.
    """

    tensor_program = False
    packages = ("transformers",)
    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        model: str = "",
        width: Annotated[int, Ge(1), SearchAmong(32, 64, 128)] = 64,
        fine_tuned: bool = False,
        pooling: Literal["mean", "class_token"] = "mean",
    ) -> None:
        super().__init__(shape, width)
        problems = self.check(model=model, pooling=pooling)
        if problems:
            raise ValueError(problems[0])
        known = traced(model)
        self.pooling = pooling
        self.sides, self.extra = known.sides, known.extra
        self.register_buffer("mean", known.mean.clone())
        self.register_buffer("deviation", known.deviation.clone())
        self.backbone = _Tuned(model) if fine_tuned else _frozen(model)
        self.last = nn.Linear(known.features, width)

    @classmethod
    def unfit(cls, shape: tuple[int, ...]) -> str | None:
        if len(shape) == 3 and shape[0] not in (1, CHANNELS):
            return f"pretrained needs images of 1 or 3 channels, got {shape[0]}; use conv4"
        return no_image("pretrained", shape, 1, "linear or mlp")

    @classmethod
    def check(cls, *, model: str, pooling: str, **others: Any) -> list[str]:
        """Rules across options, and whether there is such a model; reads no weights."""
        problem = unreadable(model)
        if problem:
            return [f"model: {problem}"]
        try:
            known = traced(model)
        except ValueError as error:
            return [f"model: {error}"]
        if pooling == "class_token" and known.extra == 0:
            return [f"pooling: {model!r} has no class token; use mean"]
        return []

    def forward(self, points: Float[Tensor, "batch *shape"]) -> EncoderOutput:
        images = points.expand(-1, CHANNELS, -1, -1)
        if images.shape[2:] != self.sides:
            images = interpolate(images, self.sides, mode="bilinear", antialias=True)
        features = self.backbone((images - self.mean) / self.deviation)
        return EncoderOutput(self.last(self._pooled(features)))

    def _pooled(self, features: Float[Tensor, "batch *places"]) -> Float[Tensor, "batch features"]:
        if features.dim() == 4:
            return features.mean((2, 3))
        if self.pooling == "class_token":
            return features[:, 0]
        return features[:, self.extra :].mean(1)


@lru_cache(maxsize=1)
def _frozen(model: str) -> "_Frozen":
    return _Frozen(model)


@final
class _Frozen(nn.Module):
    """A backbone as a fixed function: neither trained, nor switched to training, nor copied.

    Its weights stay where they are; the state holds their fingerprint.
    """

    def __init__(self, model: str) -> None:
        super().__init__()
        self.model = model
        network = loaded(model).requires_grad_(False).eval()
        self.fingerprint = fingerprint(network, traced(model).unused)
        # In a tuple, where torch looks for no parameters.
        self.hidden = (network,)

    @torch.no_grad()
    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch *places"]:
        network = self.hidden[0].to(images)
        features: Tensor = network(pixel_values=images).last_hidden_state
        return features

    def get_extra_state(self) -> Int[Tensor, ""]:
        return torch.tensor(self.fingerprint)

    def set_extra_state(self, state: Int[Tensor, ""]) -> None:
        if int(state) != self.fingerprint:
            raise ValueError(f"{self.model!r} is not the model that the weights were trained with")

    def __deepcopy__(self, memo: dict[int, Any]) -> "_Frozen":
        return self


@final
class _Tuned(nn.Module):
    """A backbone that learns, but for what has no influence on the features."""

    def __init__(self, model: str) -> None:
        super().__init__()
        self.network = loaded(model)
        for name, parameter in self.network.named_parameters():
            parameter.requires_grad_(name in traced(model).learning)

    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch *places"]:
        features: Tensor = self.network(pixel_values=images).last_hidden_state
        return features
