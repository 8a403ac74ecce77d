from typing import Annotated, Any, final

import torch
from annotated_types import Ge, Gt, Le
from jaxtyping import Float
from torch import Tensor, nn

from trainables.angular import angular_margin_loss
from trainables.contracts import (
    EncodedStep,
    LabelledEmbeddings,
    Level,
    Loss,
    Need,
    Search,
    SearchAmong,
)


@final
class GroupfaceLoss(Loss):
    """ArcFace on embeddings, and cross-entropy of the latent groups with labels they share out.

    Kim et al. (2020), "GroupFace", section 3.3. With the probabilities ``p`` of a point's latent
    groups, its label is the ``argmax_k`` of ``(p_k - E_k) / K + 1 / K``, where ``E`` is the running
    mean of ``p``: a group that is likely for all points is the label of few. The loss is that of
    ArcFace plus ``weight`` times the mean cross-entropy of ``p`` with these labels. The running
    mean begins at ``1 / K``, takes in a step before the step's labels are drawn, and rests in
    evaluation mode.

    Args:
        width: floats per embedding.
        classes: of the training part.
        latent: latent groups of the encoder.
        level: which embeddings ArcFace compares; ``both`` takes the mean of the two losses.
        margin: in radians.
        scale: factor of the cosines.
        weight: of the latent groups' cross-entropy.
        expectation_momentum: share of itself that the running mean keeps in a step.
        warm_up: epochs before the latent groups' cross-entropy counts.
    """

    margin: Tensor
    scale: Tensor
    weight: Tensor
    expectation_momentum: Tensor
    expectation: Tensor
    epochs: Tensor

    def __init__(
        self,
        width: int,
        classes: int,
        latent: int,
        *,
        level: Annotated[Level, SearchAmong("groups", "both")] = "groups",
        margin: Annotated[float, Ge(0), Le(1.5), Search(0.05, 0.8)] = 0.5,
        scale: Annotated[float, Gt(0), Search(8.0, 64.0, log=True)] = 64.0,
        weight: Annotated[float, Ge(0), Search(0.01, 1.0, log=True)] = 0.1,
        expectation_momentum: Annotated[float, Ge(0), Le(1), Search(0.9, 0.999)] = 0.99,
        warm_up: Annotated[int, Ge(0), SearchAmong(0, 1, 5)] = 0,
    ) -> None:
        super().__init__(level)
        self.warm_up = warm_up
        self.prototypes = nn.Parameter(torch.randn(classes, width))
        for name, value in {
            "margin": margin,
            "scale": scale,
            "weight": weight,
            "expectation_momentum": expectation_momentum,
        }.items():
            self.register_buffer(name, torch.tensor(value, dtype=torch.float64))
        self.register_buffer("expectation", torch.full((latent,), 1 / max(1, latent)))
        self.register_buffer("epochs", torch.tensor(0))

    @classmethod
    def needs(cls, options: dict[str, Any]) -> frozenset[Need]:
        return frozenset(["group_logits"])

    def forward(self, step: EncodedStep) -> Float[Tensor, ""]:
        assert step.group_logits is not None
        probabilities = step.group_logits.detach().softmax(1)
        expectation = moved_expectation(self.expectation, probabilities, self.expectation_momentum)
        if self.training:
            self.expectation.copy_(expectation)
        labels = shared_out(probabilities, expectation).argmax(1)
        grouping = -step.group_logits.log_softmax(1).gather(1, labels[:, None]).mean()
        counts = ((self.epochs >= self.warm_up) * self.weight).to(grouping.dtype)
        return super().forward(step) + counts * grouping

    def compare(self, rows: LabelledEmbeddings) -> Float[Tensor, ""]:
        return angular_margin_loss(
            rows.embeddings, self.prototypes, rows.labels, self.margin, self.scale
        )

    def epoch_end(self) -> bool:
        self.epochs += 1
        return False


def shared_out(
    probabilities: Float[Tensor, "rows latent"], expectation: Float[Tensor, " latent"]
) -> Float[Tensor, "rows latent"]:
    """Probabilities after what is usual has been taken away; rows sum to 1, values in [0, 2/K]."""
    latent = probabilities.shape[1]
    return (probabilities - expectation) / latent + 1 / latent


def moved_expectation(
    expectation: Float[Tensor, " latent"],
    probabilities: Float[Tensor, "rows latent"],
    momentum: Tensor | float,
) -> Float[Tensor, " latent"]:
    """The running mean after it has taken in the rows of a step."""
    return momentum * expectation + (1 - momentum) * probabilities.mean(0)
