from typing import Annotated, final

import torch
from annotated_types import Ge
from jaxtyping import Bool, Float
from torch import Tensor, nn

from trainables.contracts import HullAggregator, SearchAmong


@final
class AttentionAggregator(HullAggregator):
    """Gated attention: a weighted mean whose weights are learned from the members.

    ``softmax_i(w . (tanh(V e_i) * sigmoid(U e_i)))`` weighs member ``i``; Ilse, Tomczak and Welling
    (2018), "Attention-based deep multiple instance learning", eq. 9. The values are the embeddings
    themselves, so the result stays in their convex hull. A group of one point is that point.

    Args:
        width: floats per embedding, unchanged.
        hidden: floats of the space in which members are scored.
    """

    def __init__(
        self, width: int, *, hidden: Annotated[int, Ge(1), SearchAmong(16, 32, 64)] = 32
    ) -> None:
        super().__init__(width)
        self.content = nn.Linear(width, hidden)
        self.gate = nn.Linear(width, hidden)
        # Without a bias: a softmax does not see what is added to all of its arguments.
        self.score = nn.Linear(hidden, 1, bias=False)

    def weights(
        self, embeddings: Float[Tensor, "groups points width"], mask: Bool[Tensor, "groups points"]
    ) -> Float[Tensor, "groups points"]:
        gated = torch.tanh(self.content(embeddings)) * torch.sigmoid(self.gate(embeddings))
        scores: Tensor = self.score(gated).squeeze(2)
        return scores.masked_fill(~mask, -torch.inf).softmax(1)
