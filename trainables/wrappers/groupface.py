from itertools import pairwise
from typing import Annotated, Literal, final

import torch
from annotated_types import Ge
from jaxtyping import Float
from torch import Tensor, einsum, nn
from torch.nn.functional import relu

from trainables.contracts import Encoder, EncoderOutput, SearchAmong

Assignment = Literal["soft", "hard"]


@final
class GroupfaceWrapper(Encoder):
    """Adds to an embedding what is typical of the latent group that the point belongs to.

    Kim et al. (2020), "GroupFace", section 3: with the wrapped encoder's output ``h``, the instance
    ``v = W_0 h`` and the group representations ``v_k = W_k h``, a network of three layers gives
    ``p = softmax(z(v))`` over the latent groups, and the embedding is ``v + sum_k p_k v_k``
    (``soft``) or ``v + v_argmax(p)`` (``hard``, with the gradient of ``soft``: the straight-through
    estimator of Bengio, Leonard and Courville 2013). The logits ``z`` are there for losses that
    name the latent groups.

    Args:
        encoder: what is wrapped; its width is kept.
        latent: latent groups.
        grouping: floats per hidden layer of the network that tells the latent groups apart.
        assignment: whether a point takes from all groups by probability, or from the likeliest.
    """

    tells_groups = True

    def __init__(
        self,
        encoder: Encoder,
        *,
        latent: Annotated[int, Ge(2), SearchAmong(4, 8, 16, 32)] = 8,
        grouping: Annotated[int, Ge(1), SearchAmong(64, 256)] = 64,
        assignment: Assignment = "soft",
    ) -> None:
        super().__init__(encoder.shape, encoder.width)
        self.latent = latent
        self.assignment: Assignment = assignment
        self.encoder = encoder
        width = encoder.width
        self.instance = nn.Linear(width, width)
        # Without a bias: that of the instance already shifts every embedding.
        self.groups = nn.Linear(width, latent * width, bias=False)
        widths = (width, grouping, grouping, latent)
        self.grouping = nn.ModuleList(nn.Linear(*ends) for ends in pairwise(widths))

    def forward(self, points: Float[Tensor, "batch *shape"]) -> EncoderOutput:
        shared = self.encoder(points).embedding
        instance = self.instance(shared)
        logits = self._logits(instance)
        shares = logits.softmax(1)
        if self.assignment == "hard":
            # Forward the likeliest group alone, backward as if all had counted by probability.
            shares = _likeliest(logits) + shares - shares.detach()
        of_groups = self.groups(shared).unflatten(1, (-1, self.width))
        return EncoderOutput(instance + einsum("bk,bkw->bw", shares, of_groups), logits)

    def _logits(self, instance: Float[Tensor, "batch width"]) -> Float[Tensor, "batch latent"]:
        *hidden, last = self.grouping
        features = instance
        for layer in hidden:
            features = relu(layer(features))
        logits: Tensor = last(features)
        return logits


def _likeliest(logits: Float[Tensor, "batch latent"]) -> Float[Tensor, "batch latent"]:
    """1 for the first group of the largest logit, 0 for the others."""
    places = torch.arange(logits.shape[1], device=logits.device)
    return (places == logits.argmax(1, keepdim=True)).to(logits.dtype)
