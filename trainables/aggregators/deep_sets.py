from itertools import pairwise
from typing import Annotated, final

from annotated_types import Ge
from jaxtyping import Bool, Float
from torch import Tensor, nn

from trainables.contracts import Aggregator, SearchAmong


@final
class DeepSetsAggregator(Aggregator):
    """The mean, moved by what layers make of the members: ``mean_i e_i + rho(mean_i phi(e_i))``.

    Zaheer et al. (2017), "Deep sets", theorem 2, with means in place of its sum, so that groups of
    different sizes compare: a group and two copies of it are the same. The first term is a
    residual that the paper does not have; it lets training start from the neighbourhood of the
    mean, and keeps the theorem's form, as a ``phi`` may pass the embedding on beside its features.
    ``phi`` is ``depth`` layers with ReLU; ``rho`` is as many, then a linear map without a bias.

    Args:
        width: floats per embedding, unchanged.
        hidden: floats per hidden layer.
        depth: layers before the mean, and hidden layers after it.
    """

    outside_hull = "the layers after the mean may move it anywhere"

    def __init__(
        self,
        width: int,
        *,
        hidden: Annotated[int, Ge(1), SearchAmong(32, 64, 128)] = 64,
        depth: Annotated[int, Ge(1), SearchAmong(1, 2)] = 1,
    ) -> None:
        super().__init__(width)
        self.before_mean = _layers(width, hidden, depth)
        self.after_mean = _layers(hidden, hidden, depth)
        # Without a bias: it would shift all groups alike, which their distances do not see.
        self.last = nn.Linear(hidden, width, bias=False)

    def forward(
        self, embeddings: Float[Tensor, "groups points width"], mask: Bool[Tensor, "groups points"]
    ) -> Float[Tensor, "groups width"]:
        # Also before the layers, whose gradients a filling that overflows there would spoil.
        real = embeddings.masked_fill(~mask[:, :, None], 0)
        shift: Tensor = self.last(self.after_mean(_mean(self.before_mean(real), mask)))
        return _mean(real, mask) + shift


def _layers(width: int, hidden: int, depth: int) -> nn.Sequential:
    widths = [width, *[hidden] * depth]
    return nn.Sequential(
        *(part for ends in pairwise(widths) for part in (nn.Linear(*ends), nn.ReLU()))
    )


def _mean(
    features: Float[Tensor, "groups points features"], mask: Bool[Tensor, "groups points"]
) -> Float[Tensor, "groups features"]:
    return features.masked_fill(~mask[:, :, None], 0).sum(1) / mask.sum(1, keepdim=True)
