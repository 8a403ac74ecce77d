from typing import Annotated, final

import torch
from annotated_types import Ge, Gt, Le
from jaxtyping import Float
from torch import Tensor, nn

from trainables.angular import angular_margin_loss
from trainables.contracts import LabelledEmbeddings, Level, Loss, Search, SearchAmong


@final
class ArcfaceLoss(Loss):
    """Softmax over learned prototypes of the classes, with a margin on the angle to the own one.

    ``-log e^{s cos(t_y + m)} / (e^{s cos(t_y + m)} + sum_{j != y} e^{s cos t_j})`` with the angles
    ``t_j`` between embedding and prototypes: Deng et al. (2019), "ArcFace", eq. 3. Points and
    groups share the prototypes.

    Args:
        width: floats per embedding.
        classes: of the training part.
        level: which embeddings are compared; ``both`` takes the mean of the two losses.
        margin: in radians.
        scale: factor of the cosines.
    """

    margin: Tensor
    scale: Tensor

    def __init__(
        self,
        width: int,
        classes: int,
        *,
        level: Annotated[Level, SearchAmong("groups", "both")] = "groups",
        margin: Annotated[float, Ge(0), Le(1.5), Search(0.05, 0.8)] = 0.5,
        scale: Annotated[float, Gt(0), Search(8.0, 64.0, log=True)] = 64.0,
    ) -> None:
        super().__init__(level)
        self.prototypes = nn.Parameter(torch.randn(classes, width))
        self.register_buffer("margin", torch.tensor(margin, dtype=torch.float64))
        self.register_buffer("scale", torch.tensor(scale, dtype=torch.float64))

    def compare(self, rows: LabelledEmbeddings) -> Float[Tensor, ""]:
        return angular_margin_loss(
            rows.embeddings, self.prototypes, rows.labels, self.margin, self.scale
        )
