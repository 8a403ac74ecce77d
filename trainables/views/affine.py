from typing import Annotated, final

import torch
from annotated_types import Ge, Le, Lt
from jaxtyping import Float
from kornia.geometry.transform import get_affine_matrix2d, warp_affine
from torch import Generator, Tensor

from trainables.contracts import Search, Views, no_image

SMALLEST = 2


@final
class AffineViews(Views):
    """Rotates, shifts, scales and shears each image about its centre, by uniform random amounts.

    Simard et al. (2003), "Best practices for convolutional neural networks applied to visual
    document analysis", section 2. Pixels are interpolated bilinearly; places from outside the image
    take the value of its nearest border pixel.

    Args:
        shape: channels, height and width of an image.
        degrees: largest rotation to either side, in degrees, in [0, 180].
        translate: largest shift along each axis, as a share of that side, in [0, 1).
        scale: largest change of size, as a share: the factor is in [1 - scale, 1 + scale].
        shear: largest angle, in degrees, in [0, 45], by which each axis leans over.
    """

    degrees: Tensor
    translate: Tensor
    scale: Tensor
    shear: Tensor

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        degrees: Annotated[float, Ge(0), Le(180), Search(0.0, 45.0)] = 15.0,
        translate: Annotated[float, Ge(0), Lt(1), Search(0.0, 0.25)] = 0.1,
        scale: Annotated[float, Ge(0), Lt(1), Search(0.0, 0.3)] = 0.1,
        shear: Annotated[float, Ge(0), Le(45), Search(0.0, 20.0)] = 5.0,
    ) -> None:
        super().__init__(shape)
        self.register_buffer("degrees", torch.tensor(degrees))
        self.register_buffer("translate", torch.tensor(translate))
        self.register_buffer("scale", torch.tensor(scale))
        self.register_buffer("shear", torch.tensor(shear))

    @classmethod
    def unfit(cls, shape: tuple[int, ...]) -> str | None:
        return no_image("affine", shape, SMALLEST, "noise, dropout or mixing")

    def forward(
        self, points: Float[Tensor, "batch *shape"], generator: Generator
    ) -> Float[Tensor, "batch *shape"]:
        size = (self.shape[1], self.shape[2])
        matrices = self._matrices(points, generator)[:, :2]
        moved: Tensor = warp_affine(points, matrices, size, padding_mode="border")
        return moved

    def _matrices(
        self, points: Float[Tensor, "batch *shape"], generator: Generator
    ) -> Float[Tensor, "batch 3 3"]:
        """Where each pixel goes, in pixels, as (across, down, 1)."""
        sides = points.new_tensor([self.shape[2], self.shape[1]])
        drawn = torch.rand(
            len(points), 6, generator=generator, device=points.device, dtype=points.dtype
        )
        amounts = 2 * drawn - 1
        lean = torch.deg2rad(self.shear * amounts[:, 4:])
        found: Tensor = get_affine_matrix2d(
            translations=self.translate * sides * amounts[:, 1:3],
            center=((sides - 1) / 2).expand(len(points), 2),
            scale=(1 + self.scale * amounts[:, 3:4]).expand(-1, 2),
            angle=self.degrees * amounts[:, 0],
            sx=lean[:, 0],
            sy=lean[:, 1],
        )
        return found
