from math import ceil
from typing import Annotated, Any, final

import torch
from annotated_types import Ge
from jaxtyping import Float
from torch import Tensor, einsum, nn
from torch.nn.functional import gelu, pad

from trainables.contracts import Encoder, EncoderOutput, SearchAmong

INITIAL_DEVIATION = 0.02
EXPANSION = 4


@final
class TransformerEncoder(Encoder):
    """Self-attention over the patches of an image or over a vector's features, then an affine map.

    Images: each square patch becomes a token by one linear map, plus a learned vector for its row
    and column; Dosovitskiy et al. (2021), "An image is worth 16x16 words", equations 1 to 4.
    Feature vectors: each run of ``patch`` features has a linear map of its own, plus a learned
    vector; Gorishniy et al. (2021), "Revisiting deep learning models for tabular data", section
    3.3, who have one feature per token. A learned first token gathers what the last block passes
    on. Blocks normalise before attention and before their two layers, GELU between. Sides that
    are no multiple of ``patch`` are filled up with zeros.

    Args:
        shape: shape of one point.
        width: floats per embedding.
        patch: side of a patch in pixels; of feature vectors, features per token.
        hidden: floats per token, a multiple of ``heads``.
        depth: blocks.
        heads: attention heads per block.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        width: Annotated[int, Ge(1), SearchAmong(32, 64, 128)] = 64,
        patch: Annotated[int, Ge(1), SearchAmong(2, 4, 8)] = 4,
        hidden: Annotated[int, Ge(1), SearchAmong(32, 64, 128)] = 64,
        depth: Annotated[int, Ge(1), SearchAmong(1, 2, 4)] = 2,
        heads: Annotated[int, Ge(1), SearchAmong(2, 4)] = 4,
    ) -> None:
        super().__init__(shape, width)
        tokens_of = _ImageTokens if len(shape) == 3 else _FeatureTokens
        self.tokens = tokens_of(shape, patch, hidden)
        self.first = nn.Parameter(INITIAL_DEVIATION * torch.randn(hidden))
        self.blocks = nn.Sequential(*(_Block(hidden, heads) for _ in range(depth)))
        # Without a bias: the last map makes the same shift of it as of its own.
        self.normalisation = nn.LayerNorm(hidden, bias=False)
        self.last = nn.Linear(hidden, width)

    @classmethod
    def check(cls, *, hidden: int, heads: int, **others: Any) -> list[str]:
        """Rules across options."""
        if hidden % heads == 0:
            return []
        return [f"hidden: must be a multiple of heads, got {hidden} and {heads} heads"]

    def forward(self, points: Float[Tensor, "batch *shape"]) -> EncoderOutput:
        tokens = self.tokens(points)
        first = self.first.expand(tokens.shape[0], 1, -1)
        gathered = self.blocks(torch.cat([first, tokens], dim=1))[:, 0]
        return EncoderOutput(self.last(self.normalisation(gathered)))


@final
class _ImageTokens(nn.Module):
    """One token for each patch, the rows of patches one after the other."""

    def __init__(self, shape: tuple[int, ...], patch: int, hidden: int) -> None:
        super().__init__()
        channels, height, width = shape
        rows, columns = ceil(height / patch), ceil(width / patch)
        self.patch = patch
        self.filling = (0, columns * patch - width, 0, rows * patch - height)
        # Without a bias: the places have one each.
        self.embedding = nn.Linear(channels * patch * patch, hidden, bias=False)
        self.places = nn.Parameter(INITIAL_DEVIATION * torch.randn(rows * columns, hidden))

    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch tokens hidden"]:
        filled = pad(images, self.filling)
        squares = filled.unflatten(3, (-1, self.patch)).unflatten(2, (-1, self.patch))
        # From channel, row, line, column, pixel to row, column, channel, line, pixel.
        patches = squares.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)
        embedded: Tensor = self.embedding(patches)
        return embedded + self.places


@final
class _FeatureTokens(nn.Module):
    """One token for each run of features."""

    def __init__(self, shape: tuple[int, ...], patch: int, hidden: int) -> None:
        super().__init__()
        (features,) = shape
        tokens = ceil(features / patch)
        self.filling = (0, tokens * patch - features)
        bound = patch**-0.5
        self.maps = nn.Parameter(torch.empty(tokens, patch, hidden).uniform_(-bound, bound))
        self.places = nn.Parameter(INITIAL_DEVIATION * torch.randn(tokens, hidden))

    def forward(
        self, vectors: Float[Tensor, "batch features"]
    ) -> Float[Tensor, "batch tokens hidden"]:
        runs = pad(vectors, self.filling).unflatten(1, self.maps.shape[:2])
        return einsum("btp,tph->bth", runs, self.maps) + self.places


@final
class _Block(nn.Module):
    """``y = x + attention(norm(x))``, then ``y + layers(norm(y))``."""

    def __init__(self, hidden: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention = nn.LayerNorm(hidden)
        # Without a bias: the softmax takes that of the keys away, and the output has its own.
        self.queries_keys_values = nn.Linear(hidden, 3 * hidden, bias=False)
        self.output = nn.Linear(hidden, hidden)
        self.before_layers = nn.LayerNorm(hidden)
        self.up = nn.Linear(hidden, EXPANSION * hidden)
        self.down = nn.Linear(EXPANSION * hidden, hidden)

    def forward(
        self, tokens: Float[Tensor, "batch tokens hidden"]
    ) -> Float[Tensor, "batch tokens hidden"]:
        attended = tokens + self._attention(self.before_attention(tokens))
        layers: Tensor = self.down(gelu(self.up(self.before_layers(attended))))
        return attended + layers

    def _attention(
        self, tokens: Float[Tensor, "batch tokens hidden"]
    ) -> Float[Tensor, "batch tokens hidden"]:
        split = self.queries_keys_values(tokens).unflatten(2, (3, self.heads, -1))
        queries, keys, values = split.permute(2, 0, 3, 1, 4)
        # In two products: torch's own has no rule for packs.
        scores = queries @ keys.transpose(2, 3) / queries.shape[3] ** 0.5
        attended = scores.softmax(3) @ values
        mixed: Tensor = self.output(attended.transpose(1, 2).flatten(2))
        return mixed
