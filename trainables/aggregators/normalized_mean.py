from typing import final

from jaxtyping import Bool, Float
from torch import Tensor, einsum
from torch.linalg import vector_norm

from trainables.contracts import Aggregator

FLOOR = 1e-6


@final
class NormalizedMeanAggregator(Aggregator):
    """The mean of the members, stretched to unit length: ``mean / ||mean||``.

    Of members of unit length it is the direction with the largest mean cosine to them: the mean
    direction of Mardia and Jupp (2000), "Directional statistics". A mean shorter than ``1e-6``
    has no direction that is more than rounding and is divided by ``1e-6``: zero stays zero, with a
    finite gradient. Distances of two results follow from those of the means ``u`` and ``v`` by
    ``||u / ||u|| - v / ||v|| || <= 2 ||u - v|| / (||u|| + ||v||)`` (Dunkl and Williams 1964), so a
    bound on the means is worth less the shorter they are.

    Args:
        width: floats per embedding, unchanged.
    """

    outside_hull = (
        "stretching the mean to unit length leaves the hull, and ties it to means u and v only by "
        "||norm u - norm v|| <= 2 ||u - v|| / (||u|| + ||v||)"
    )

    def forward(
        self, embeddings: Float[Tensor, "groups points width"], mask: Bool[Tensor, "groups points"]
    ) -> Float[Tensor, "groups width"]:
        real = mask.to(embeddings.dtype)
        mean = einsum("gp,gpw->gw", real / real.sum(1, keepdim=True), embeddings)
        length: Tensor = vector_norm(mean, dim=1, keepdim=True)
        return mean / length.clamp_min(FLOOR)
