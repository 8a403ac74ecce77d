import math
from typing import Annotated, final

import torch
from annotated_types import Ge
from jaxtyping import Bool, Float
from torch import Tensor, einsum, nn

from trainables.contracts import HullAggregator, SearchAmong


@final
class MultiHeadAttentionAggregator(HullAggregator):
    """Attention of several learned queries: the mean of the weighted means of all heads.

    Head ``h`` weighs member ``i`` by ``softmax_i(q_h . (K_h e_i) / sqrt(hidden))``: the scaled dot
    product and the heads of Vaswani et al. (2017), eq. 1 and section 3.2.2, with a learned seed as
    the query as in Lee et al. (2019), "Set transformer", section 3.2. Unlike in both, the values
    are the embeddings themselves, so the result stays in their convex hull; its weights are the
    mean of the weights of the heads. A group of one point is that point.

    Args:
        width: floats per embedding, unchanged.
        heads: number of queries, each with keys of its own.
        hidden: floats of a query and of a key.
    """

    def __init__(
        self,
        width: int,
        *,
        heads: Annotated[int, Ge(1), SearchAmong(2, 4, 8)] = 4,
        hidden: Annotated[int, Ge(1), SearchAmong(8, 16, 32)] = 16,
    ) -> None:
        super().__init__(width)
        self.queries = nn.Parameter(torch.randn(heads, hidden))
        # Without a bias: it would add the same to the scores of all members, which a softmax
        # does not see.
        self.keys = nn.Linear(width, heads * hidden, bias=False)

    def weights(
        self, embeddings: Float[Tensor, "groups points width"], mask: Bool[Tensor, "groups points"]
    ) -> Float[Tensor, "groups points"]:
        heads, hidden = self.queries.shape
        keys: Tensor = self.keys(embeddings).unflatten(2, (heads, hidden))
        scores = einsum("gphk,hk->ghp", keys, self.queries) / math.sqrt(hidden)
        return scores.masked_fill(~mask[:, None], -torch.inf).softmax(2).mean(1)
