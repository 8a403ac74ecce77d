"""What learns: encoder and aggregator with the loss that trains them."""

from typing import NamedTuple, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from trainables.configuration import Precision
from trainables.contracts import EncodedStep, LabelledEmbeddings, Loss
from trainables.model import GroupModel
from trainables.step_plan import StepPlan


class Seen(NamedTuple):
    """Embeddings of the points and of the groups of each view, and the first view's logits."""

    points: list[Tensor]
    groups: list[Tensor]
    logits: Tensor | None


def seen(
    model: GroupModel,
    views: list[Float[Tensor, "batch *shape"]],
    plan: StepPlan,
    precision: Precision,
) -> Seen:
    """What a model makes of the views of a step, encoded together.

    With ``bfloat16`` products of the encoder are taken in half precision, and nothing else is.
    """
    together = torch.cat(views) if len(views) > 1 else views[0]
    if precision == "float32":
        embeddings, logits = model.embed(together)
    else:
        with torch.autocast(together.device.type, torch.bfloat16):
            embeddings, logits = model.embed(together)
        embeddings, logits = embeddings.float(), None if logits is None else logits.float()
    count = len(plan.labels)
    points = list(embeddings.split(count))
    groups = [model.aggregator(view[plan.members], plan.mask) for view in points]
    return Seen(points, groups, None if logits is None else logits[:count])


@final
class Learner(nn.Module):
    """Model and loss as one function of a step.

    Args:
        model: encoder and aggregator.
        loss: what trains them.
        classes: of a step.
        is_disjoint: whether the two views of a group are made of disjoint groups of its class.
        precision: of the encoder's products.
    """

    def __init__(
        self,
        model: GroupModel,
        loss: Loss,
        classes: int,
        is_disjoint: bool,
        precision: Precision = "float32",
    ) -> None:
        super().__init__()
        self.model, self.loss = model, loss
        self._classes, self._is_disjoint = classes, is_disjoint
        self._precision: Precision = precision

    def forward(
        self,
        views: list[Float[Tensor, "batch *shape"]],
        plan: StepPlan,
        taught: Seen | None = None,
    ) -> Float[Tensor, ""]:
        """The loss of a step; arguments as those of :meth:`encode`."""
        loss: Tensor = self.loss(self.encode(views, plan, taught))
        return loss

    def encode(
        self,
        views: list[Float[Tensor, "batch *shape"]],
        plan: StepPlan,
        taught: Seen | None = None,
    ) -> EncodedStep:
        """What the loss sees of a step.

        Args:
            views: of its points, as many as the model itself encodes.
            plan: of the step.
            taught: the second views as a teacher has seen them.
        """
        found = seen(self.model, views, plan, self._precision)
        if taught is not None:
            found = Seen(found.points + taught.points, found.groups + taught.groups, found.logits)
        groups, group_labels = found.groups, plan.group_labels
        if self._is_disjoint:
            groups, group_labels = self._halves(groups, group_labels)
        return EncodedStep(
            points=self._labelled(found.points, plan.labels),
            groups=self._labelled(groups, group_labels),
            members=plan.members,
            mask=plan.mask,
            group_logits=found.logits,
        )

    def _labelled(self, views: list[Tensor], labels: Int[Tensor, " rows"]) -> LabelledEmbeddings:
        first, second = views[0], views[1] if len(views) > 1 else None
        return LabelledEmbeddings(first, labels, second, len(labels) // self._classes)

    def _halves(
        self, views: list[Tensor], labels: Int[Tensor, " groups"]
    ) -> tuple[list[Tensor], Int[Tensor, " half"]]:
        """Two views made of disjoint groups: each class's first half of groups, and its second."""
        shape = (self._classes, 2, -1)
        halves = [view.unflatten(0, shape)[:, i].flatten(0, 1) for i, view in enumerate(views)]
        return halves, labels.view(shape)[:, 0].flatten()
