"""What a value of InfoNCE, ArcFace or a softmax says of the distances of the rows it was taken of.

Statements and proofs: this project, docs/theory.md, section 7. Rows have length 1, as InfoNCE and
ArcFace themselves make them; the softmax takes rows of any length. A mean loss says something of
means and quantiles, a largest loss of ``m*``. All is elementwise, in the loss's precision.
"""

import torch
from jaxtyping import Float
from torch import Tensor

Scalar = float | Float[Tensor, ""]


def log_odds(loss: Float[Tensor, "*losses"]) -> Float[Tensor, "*losses"]:
    """``log(e^loss - 1)``: how much the competitors of the right answer outweigh it, at most.

    Concave and increasing; negative below ``log 2``, minus infinity at 0.
    """
    # Neither end loses digits: e^loss - 1 would be 0 below them, infinite above.
    return loss + (-torch.expm1(-loss)).log()


def infonce_excess(loss: Float[Tensor, "*losses"], temperature: Scalar) -> Float[Tensor, "*losses"]:
    """Bounds ``d(a, p)^2 - d(a, n)^2`` by ``2 temperature log(e^loss - 1)``.

    Of one positive pair it holds for every negative n (proposition 2); of a mean loss it holds for
    the mean over pairs of ``max_n`` (proposition 4). Source: this project, docs/theory.md.

    Args:
        loss: InfoNCE with ``contrast: negatives``; with ``others``, less the logarithm of the
            number of positives (proposition 5).
        temperature: of the loss.
    """
    return 2 * temperature * log_odds(loss)


def margin_from_squares(excess: Float[Tensor, "*pairs"]) -> Float[Tensor, "*pairs"]:
    """Bounds ``d(a, p) - min(delta_a, delta_p)``, given a bound on both differences of squares.

    Where ``d(a, p)^2 - d(a, n)^2`` and ``d(a, p)^2 - d(p, n)^2`` are at most ``b`` for all n, the
    bound is ``min(sqrt b, 2)`` for ``b >= 0`` and ``sqrt(D^2 + b) - D`` with
    ``D^2 = (3 + sqrt(9 - 4 b)) / 2`` for ``b < 0``; both are attained. So ``m*`` is at most that of
    the squared margin. Source: this project, docs/theory.md, proposition 3.

    Args:
        excess: b, in squared embedding units; no rows of length 1 have one below -4.
    """
    below = excess.clamp(-4, 0)
    furthest = (3 + (9 - 4 * below).sqrt()) / 2
    # The difference of roots as a quotient: near 0 they cancel.
    negative = below / ((furthest + below).sqrt() + furthest.sqrt())
    # The root of 0 has no gradient.
    positive = torch.where(excess > 0, excess.clamp(max=4), 1).sqrt()
    return torch.where(excess > 0, positive, negative)


def infonce_quantile(
    loss: Float[Tensor, "*losses"], temperature: Scalar, share: Scalar
) -> Float[Tensor, "*losses"]:
    """Bounds ``d(a, p) - min(delta_a, delta_p)`` for all but a share of the pairs of one class.

    ``margin_from_squares(2 temperature log(e^(2 loss / share) - 1))``; at a share of 0.01 it bounds
    ``m_99`` over all pairs of one class. Source: this project, docs/theory.md, proposition 4.

    Args:
        loss: InfoNCE with ``contrast: negatives``, the mean over all ordered pairs.
        temperature: of the loss.
        share: of the pairs that may exceed the bound, in (0, 1].
    """
    return margin_from_squares(infonce_excess(2 * loss / share, temperature))


def infonce_group_bound(
    loss: Float[Tensor, "*pairs"],
    temperature: Scalar,
    delta_squared: Float[Tensor, "*pairs"],
    spread: Float[Tensor, "*pairs"],
) -> Float[Tensor, "*pairs"]:
    """Bounds the distance of two groups of one class by their members' mean InfoNCE.

    ``|z - w|^2 <= sum_i alpha_i delta_i^2 + 2 temperature log(e^loss - 1) - V - W``. Source: this
    project, docs/theory.md, proposition 6.

    Args:
        loss: ``sum_ij alpha_i beta_j loss_ij`` with ``contrast: negatives``, the members i of the
            first group as anchors and j of the second as positives.
        temperature: of the loss.
        delta_squared: ``sum_i alpha_i delta_i^2``, delta to the nearest negative of the loss.
        spread: ``V + W``, the sum of the variances of both groups.
    """
    squared = delta_squared + infonce_excess(loss, temperature) - spread
    return squared.clamp(min=0).sqrt()


def arcface_angle(
    loss: Float[Tensor, "*losses"], margin: Scalar, scale: Scalar
) -> Float[Tensor, "*losses"]:
    """Bounds below the angle of points of different classes: ``margin + 2 arcsin(k / 2)``.

    ``k = -log(e^loss - 1) / scale``; from ``k = 2 cos(margin)`` on, ``arccos(cos(margin) - k)``.
    Both are attained. Points of one class are at most ``pi`` minus it apart. NaN from ``log 2`` on,
    where the loss says nothing. Source: this project, docs/theory.md, proposition 7.

    Args:
        loss: ArcFace of each of the points, at most.
        margin: of the loss, in radians.
        scale: of the loss.
    """
    gain = -log_odds(loss) / scale
    cosine = torch.as_tensor(margin, dtype=loss.dtype, device=loss.device).cos()
    between = margin + 2 * (gain / 2).clamp(max=1).asin()
    at_prototypes = (cosine - gain).clamp(-1, 1).acos()
    angle = torch.where(gain < 2 * cosine, between, at_prototypes)
    return torch.where(gain > 0, angle, torch.nan)


def margin_from_angle(angle: Float[Tensor, "*losses"]) -> Float[Tensor, "*losses"]:
    """Bounds ``m*`` by ``2 (cos(angle / 2) - sin(angle / 2))``: negative beyond a right angle.

    Source: this project, docs/theory.md, proposition 7.

    Args:
        angle: that :func:`arcface_angle` found.
    """
    return 2 * ((angle / 2).cos() - (angle / 2).sin())


def softmax_separation(loss: Float[Tensor, "*losses"], stretch: Scalar) -> Float[Tensor, "*losses"]:
    """Bounds below the distance of points of different classes: ``-2 log(e^loss - 1) / stretch``.

    Says nothing of points of one class, and nothing at all from ``log 2`` on. Source: this project,
    docs/theory.md, proposition 8.

    Args:
        loss: cross-entropy of the logits of each of the points, at most.
        stretch: largest distance of the classifier's weights of two classes.
    """
    return (-2 * log_odds(loss) / stretch).clamp(min=0)
