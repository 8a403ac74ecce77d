from itertools import pairwise
from math import prod
from typing import Annotated, final

import torch
from annotated_types import Ge, Lt
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import relu

from trainables.contracts import Encoder, EncoderOutput, Search, SearchAmong
from trainables.uniform import uniform_like


@final
class MlpEncoder(Encoder):
    """Fully connected layers with ReLU and dropout between them, on the flattened point.

    ``W_k drop(relu(... drop(relu(W_1 x + b_1)))) + b_k``. While training, dropout sets each hidden
    feature to 0 with probability ``dropout`` and divides the others by ``1 - dropout``; Srivastava
    et al. (2014).

    Args:
        shape: shape of one point.
        width: floats per embedding.
        hidden: floats per hidden layer.
        depth: hidden layers.
        dropout: probability, in [0, 1), that a hidden feature is dropped.
    """

    is_chain = True
    dropout: Tensor

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        width: Annotated[int, Ge(1), SearchAmong(32, 64, 128)] = 64,
        hidden: Annotated[int, Ge(1), SearchAmong(64, 128, 256)] = 128,
        depth: Annotated[int, Ge(1), SearchAmong(1, 2)] = 1,
        dropout: Annotated[float, Ge(0), Lt(1), Search(0.0, 0.5)] = 0.0,
    ) -> None:
        super().__init__(shape, width)
        widths = [prod(shape), *[hidden] * depth]
        self.hidden = nn.ModuleList(nn.Linear(*ends) for ends in pairwise(widths))
        self.last = nn.Linear(hidden, width)
        self.drops = dropout > 0
        self.register_buffer("dropout", torch.tensor(dropout))

    def forward(self, points: Float[Tensor, "batch *shape"]) -> EncoderOutput:
        features = points.flatten(1)
        for layer in self.hidden:
            features = self._drop(relu(layer(features)))
        return EncoderOutput(self.last(features))

    def _drop(self, features: Float[Tensor, "batch hidden"]) -> Float[Tensor, "batch hidden"]:
        # torch's dropout takes its probability as a number; ours is a buffer that packs can stack.
        if not (self.training and self.drops):
            return features
        kept = uniform_like(features) >= self.dropout
        return features * kept / (1 - self.dropout)
