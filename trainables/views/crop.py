from typing import Annotated, final

import torch
from annotated_types import Ge, Gt, Lt
from jaxtyping import Float
from kornia.geometry.transform import warp_affine
from torch import Generator, Tensor

from trainables.contracts import Search, Views, no_image

SMALLEST = 2


@final
class CropViews(Views):
    """Cuts a random rectangle out of each image and stretches it to the image's size, bilinearly.

    Szegedy et al. (2015), "Going deeper with convolutions", section 6: the area is uniform in
    [area, 1], the sides' ratio uniform in the logarithm, the place uniform. A side that would be
    longer than the image's is cut to it. Sides are measured between centres of border pixels.

    Args:
        shape: channels, height and width of an image.
        area: smallest area of a rectangle, as a share of the image's, in (0, 1).
        aspect: largest stretch, at least 1: the sides' shares are in ratio 1 / aspect to aspect.
    """

    area: Tensor
    aspect: Tensor

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        area: Annotated[float, Gt(0), Lt(1), Search(0.2, 0.9)] = 0.5,
        aspect: Annotated[float, Ge(1), Search(1.0, 2.0)] = 4 / 3,
    ) -> None:
        super().__init__(shape)
        self.register_buffer("area", torch.tensor(area))
        self.register_buffer("aspect", torch.tensor(aspect))

    @classmethod
    def unfit(cls, shape: tuple[int, ...]) -> str | None:
        return no_image("crop", shape, SMALLEST, "noise, dropout or mixing")

    def forward(
        self, points: Float[Tensor, "batch *shape"], generator: Generator
    ) -> Float[Tensor, "batch *shape"]:
        height, width = self.shape[1:]
        shares, corners = self._rectangles(points, generator)
        scale = 1 / shares
        shift = -corners * scale * points.new_tensor([width - 1, height - 1])
        matrices = torch.cat([torch.diag_embed(scale), shift[..., None]], dim=2)
        # A corner on the border may be rounded to just outside it.
        stretched: Tensor = warp_affine(points, matrices, (height, width), padding_mode="border")
        return stretched

    def _rectangles(
        self, points: Float[Tensor, "batch *shape"], generator: Generator
    ) -> tuple[Float[Tensor, "batch 2"], Float[Tensor, "batch 2"]]:
        """Sides and upper left corner of a rectangle, across and down, as shares of the sides."""
        drawn = torch.rand(
            len(points), 4, generator=generator, device=points.device, dtype=points.dtype
        )
        area = self.area + (1 - self.area) * drawn[:, 0]
        stretch = self.aspect ** (drawn[:, 1] - 0.5)
        sides = area.sqrt()[:, None] * torch.stack([stretch, 1 / stretch], dim=1)
        shares = sides.clamp_max(1)
        return shares, (1 - shares) * drawn[:, 2:]
