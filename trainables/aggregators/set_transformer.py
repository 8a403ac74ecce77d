from typing import Annotated, Any, final

import torch
from annotated_types import Ge
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import relu

from trainables.contracts import Aggregator, SearchAmong


@final
class SetTransformerAggregator(Aggregator):
    """Self-attention among the members, then attention of one learned seed to all of them.

    Lee et al. (2019), "Set transformer", equations 6 to 8 and 11, without inducing points: a linear
    map takes the members to ``hidden`` floats, ``depth`` blocks let each attend to all, ``Z <-
    block(Z, Z)``, and a last block pools them, ``block(seed, layer(Z))``. A block is

    ``block(X, Y) = norm(H + layer(H))`` with ``H = norm(X + attention(X, Y, Y))``

    where ``layer`` is linear with ReLU and scores are divided by the root of the floats per head. A
    linear map takes the pooled seed back to ``width``. Of a group of one point, the seed's
    attention is 1 whatever its queries and keys.

    Args:
        width: floats per embedding, unchanged.
        hidden: floats per member inside, a multiple of ``heads``.
        heads: attention heads per block.
        depth: blocks of self-attention before the pooling; 0 pools the members as they are.
    """

    outside_hull = "attention and layers map the members to places of their own"

    def __init__(
        self,
        width: int,
        *,
        hidden: Annotated[int, Ge(1), SearchAmong(32, 64, 128)] = 64,
        heads: Annotated[int, Ge(1), SearchAmong(2, 4)] = 4,
        depth: Annotated[int, Ge(0), SearchAmong(0, 1, 2)] = 1,
    ) -> None:
        super().__init__(width)
        self.first = nn.Linear(width, hidden)
        self.blocks = nn.ModuleList(_AttentionBlock(hidden, heads) for _ in range(depth))
        self.layer = nn.Linear(hidden, hidden)
        self.seed = nn.Parameter(torch.randn(hidden) / hidden**0.5)
        self.pooling = _AttentionBlock(hidden, heads, shifted=False)
        # Without a bias: it would shift all groups alike, which their distances do not see.
        self.last = nn.Linear(hidden, width, bias=False)

    @classmethod
    def check(cls, *, hidden: int, heads: int, **others: Any) -> list[str]:
        """Rules across options."""
        if hidden % heads == 0:
            return []
        return [f"hidden: must be a multiple of heads, got {hidden} and {heads} heads"]

    def forward(
        self, embeddings: Float[Tensor, "groups points width"], mask: Bool[Tensor, "groups points"]
    ) -> Float[Tensor, "groups width"]:
        # A weight of 0 would not stop a filling whose key or value overflows.
        members = self.first(embeddings.masked_fill(~mask[:, :, None], 0))
        for block in self.blocks:
            members = block(members, members, mask)
        seed = self.seed.expand(members.shape[0], 1, -1)
        pooled = self.pooling(seed, relu(self.layer(members)), mask)
        result: Tensor = self.last(pooled.squeeze(1))
        return result


@final
class _AttentionBlock(nn.Module):
    """Rows attend to members; ``shifted`` says whether its result is normalised with a bias."""

    def __init__(self, hidden: int, heads: int, *, shifted: bool = True) -> None:
        super().__init__()
        self.heads = heads
        # Without biases, as in the paper: the softmax takes that of the keys away.
        self.queries = nn.Linear(hidden, hidden, bias=False)
        self.keys = nn.Linear(hidden, hidden, bias=False)
        self.values = nn.Linear(hidden, hidden, bias=False)
        self.output = nn.Linear(hidden, hidden, bias=False)
        self.after_attention = nn.LayerNorm(hidden)
        self.layer = nn.Linear(hidden, hidden)
        self.after_layer = nn.LayerNorm(hidden, bias=shifted)

    def forward(
        self,
        rows: Float[Tensor, "groups rows hidden"],
        members: Float[Tensor, "groups points hidden"],
        mask: Bool[Tensor, "groups points"],
    ) -> Float[Tensor, "groups rows hidden"]:
        attended = self.after_attention(rows + self._attention(rows, members, mask))
        result: Tensor = self.after_layer(attended + relu(self.layer(attended)))
        return result

    def _attention(
        self,
        rows: Float[Tensor, "groups rows hidden"],
        members: Float[Tensor, "groups points hidden"],
        mask: Bool[Tensor, "groups points"],
    ) -> Float[Tensor, "groups rows hidden"]:
        queries = self._split(self.queries(rows))
        keys, values = self._split(self.keys(members)), self._split(self.values(members))
        # In two products: torch's own has no rule for packs.
        scores = queries @ keys.transpose(2, 3) / queries.shape[3] ** 0.5
        weights = scores.masked_fill(~mask[:, None, None], -torch.inf).softmax(3)
        mixed: Tensor = self.output((weights @ values).transpose(1, 2).flatten(2))
        return mixed

    def _split(
        self, features: Float[Tensor, "groups rows hidden"]
    ) -> Float[Tensor, "groups heads rows each"]:
        by_head: Tensor = features.unflatten(2, (self.heads, -1))
        return by_head.transpose(1, 2)
