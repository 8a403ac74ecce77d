"""The additive angular margin softmax, which several losses are made of."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize


def angular_margin_loss(
    embeddings: Float[Tensor, "rows width"],
    prototypes: Float[Tensor, "classes width"],
    labels: Int[Tensor, " rows"],
    margin: Float[Tensor, ""],
    scale: Float[Tensor, ""],
) -> Float[Tensor, ""]:
    """Cross-entropy of the scaled cosines, with the angle to the own class made larger by a margin.

    Deng et al. (2019), "ArcFace", eq. 3. Beyond an angle of ``pi - margin``, where the cosine of
    the larger angle would grow again, it is ``cos(angle) - margin sin(margin)``. The gradient is
    finite at all angles.

    Args:
        embeddings: of any length.
        prototypes: one of each class, of any length.
        labels: class index of each row.
        margin: in radians.
        scale: factor of the cosines.
    """
    cosines = normalize(embeddings, dim=1) @ normalize(prototypes, dim=1).T
    own = cosines.gather(1, labels[:, None])
    # The root has no gradient where the angle is 0 or pi.
    sine = (1 - own.square()).clamp_min(torch.finfo(own.dtype).eps).sqrt()
    moved = own * margin.cos() - sine * margin.sin()
    moved = torch.where(own > -margin.cos(), moved, own - margin * margin.sin())
    is_own = labels[:, None] == torch.arange(len(prototypes), device=labels.device)
    shares = (scale * torch.where(is_own, moved, cosines)).log_softmax(1)
    return -shares.gather(1, labels[:, None]).mean()
