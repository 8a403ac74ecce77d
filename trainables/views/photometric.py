from typing import Annotated, final

import torch
from annotated_types import Ge, Le, Lt
from jaxtyping import Float
from kornia.filters import gaussian_blur2d
from torch import Generator, Tensor

from trainables.contracts import Search, Views, no_image

KERNEL = 9
"""Pixels across the blur: it reaches two standard deviations of the strongest one."""
SHARPEST = 1e-3
"""Standard deviation, in pixels, of a blur that changes nothing, and is still positive."""


@final
class PhotometricViews(Views):
    """Changes brightness, contrast and gamma of each image, then blurs it, by random amounts.

    ``blur(clamp(mean + factor * (x - mean) + shift) ** power)`` for pixels x in [0, 1], clamped to
    [0, 1]: ``mean`` is the image's own, ``shift`` and ``factor`` are uniform, ``power`` is uniform
    in the logarithm, and the blur is Gaussian of uniform standard deviation. Jitter and blur as in
    Chen et al. (2020), "A simple framework for contrastive learning", appendix A; colours stay.

    Args:
        shape: channels, height and width of an image.
        brightness: largest shift to either side, in units of the pixels, in [0, 1).
        contrast: largest change of contrast: the factor is in [1 - contrast, 1 + contrast].
        gamma: largest power, at least 1: powers are in [1 / gamma, gamma].
        blur: largest standard deviation of the blur, in pixels, in [0, 2].
    """

    brightness: Tensor
    contrast: Tensor
    gamma: Tensor
    blur: Tensor

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        brightness: Annotated[float, Ge(0), Lt(1), Search(0.0, 0.4)] = 0.2,
        contrast: Annotated[float, Ge(0), Lt(1), Search(0.0, 0.6)] = 0.3,
        gamma: Annotated[float, Ge(1), Le(10), Search(1.0, 2.0)] = 1.25,
        blur: Annotated[float, Ge(0), Le(2), Search(0.0, 1.5)] = 0.5,
    ) -> None:
        super().__init__(shape)
        self.register_buffer("brightness", torch.tensor(brightness))
        self.register_buffer("contrast", torch.tensor(contrast))
        self.register_buffer("gamma", torch.tensor(gamma))
        self.register_buffer("blur", torch.tensor(blur))

    @classmethod
    def unfit(cls, shape: tuple[int, ...]) -> str | None:
        return no_image("photometric", shape, 1, "noise, dropout or mixing")

    def forward(
        self, points: Float[Tensor, "batch *shape"], generator: Generator
    ) -> Float[Tensor, "batch *shape"]:
        drawn = torch.rand(
            len(points), 4, 1, 1, 1, generator=generator, device=points.device, dtype=points.dtype
        )
        shift, stretch, exponent = (2 * drawn[:, :3] - 1).unbind(1)
        mean = points.mean((1, 2, 3), keepdim=True)
        contrasted = mean + (1 + self.contrast * stretch) * (points - mean)
        shifted = contrasted + self.brightness * shift
        powered = shifted.clamp(0, 1) ** (self.gamma**exponent)
        deviation = (self.blur * drawn[:, 3]).clamp_min(SHARPEST).view(-1, 1)
        # A border of repeated pixels, since images may be smaller than the blur reaches.
        blurred: Tensor = gaussian_blur2d(
            powered, KERNEL, deviation.expand(-1, 2), border_type="replicate"
        )
        return blurred.clamp(0, 1)
