from typing import Annotated, Any, Literal, final

import torch
from annotated_types import Ge, Gt, Le, Lt
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import normalize

from trainables.contracts import LabelledEmbeddings, Level, Loss, Need, Search, SearchAmong

Assignment = Literal["clusters", "labels"]
RESET_ITERATIONS = 10


@final
class SmogLoss(Loss):
    """Cross-entropy of picking, for one view of a row, the group that its other view belongs to.

    Pang et al. (2022), "Unsupervised visual representation learning by synchronous momentum
    grouping". ``e`` are the first views, ``k`` the second views as the momentum teacher sees them,
    ``p = predictor(e)``, and ``g`` the momentum groups, all of unit length. In each step, with the
    groups of the step before,

        ``c_i = argmax_j k_i . g_j`` and ``u_i = argmax_j e_i . g_j``,

    then every group to which an ``e_i`` belongs moves,

        ``g_j <- unit(momentum g_j + (1 - momentum) mean {e_i : u_i = j})``,

    and the loss is the mean of ``-log softmax_j(p_i . g_j / temperature)`` at ``j = c_i``, with the
    moved groups. These are stored without their gradient, and so are the ``e``, in a memory. In
    evaluation mode nothing is stored.

    A reset, between epochs, takes as groups the spherical k-means of the remembered rows (10
    iterations from random rows; a centre without rows stays) and starts the teacher again as a copy
    of the model. While fewer rows than ``groups`` are remembered there is no reset.

    Unlike the released code, ``momentum`` is constant and the predictor has no batch normalisation.

    Args:
        width: floats per embedding.
        classes: of the training part; the number of momentum groups where ``assignment`` is
            ``labels``.
        level: which embeddings are compared; ``both`` takes the mean of the two losses, whose
            momentum groups are the same, moved first by the points.
        groups: how many momentum groups there are; at first, random directions.
        assignment: to ``clusters``, the nearest momentum group, or by ``labels``, where both views
            of a row belong to the momentum group of its class; a reset then restarts the teacher
            only, and ``groups`` and ``memory`` have no effect.
        temperature: divides the similarities.
        momentum: share of itself that a group keeps in a step.
        teacher_momentum: share of its parameters that the teacher keeps in a step.
        through_groups: whether ``e`` has a gradient through the moved groups, as in the paper; the
            released code has none.
        reset_every: epochs from reset to reset; 0 for never.
        memory: latest rows that are remembered; no fewer than ``groups``.
        predictor: hidden floats of the predictor; 0 for none, where ``p = e``.
    """

    temperature: Tensor
    momentum: Tensor
    groups: Tensor
    memory: Tensor
    written: Tensor
    """Rows put into the memory so far, also those that others have replaced."""
    epochs: Tensor

    def __init__(
        self,
        width: int,
        classes: int,
        *,
        level: Annotated[Level, SearchAmong("groups", "both")] = "groups",
        groups: Annotated[int, Ge(2), SearchAmong(30, 100, 300)] = 100,
        assignment: Assignment = "clusters",
        temperature: Annotated[float, Gt(0), Search(0.05, 0.3, log=True)] = 0.1,
        momentum: Annotated[float, Ge(0), Lt(1), Search(0.9, 0.999)] = 0.99,
        teacher_momentum: Annotated[float, Ge(0), Le(1), Search(0.99, 0.999)] = 0.99,
        through_groups: bool = True,
        reset_every: Annotated[int, Ge(0), SearchAmong(1, 2)] = 1,
        memory: Annotated[int, Ge(2)] = 2048,
        predictor: Annotated[int, Ge(0)] = 128,
    ) -> None:
        super().__init__(level)
        self.assignment: Assignment = assignment
        self.through_groups = through_groups
        self.reset_every = reset_every
        self.predictor = _predictor(width, predictor)
        regroups = assignment == "clusters" and reset_every > 0
        of_labels = assignment == "labels"
        for name, state in {
            "temperature": torch.tensor(temperature, dtype=torch.float64),
            "momentum": torch.tensor(momentum, dtype=torch.float64),
            "teacher_momentum": torch.tensor(teacher_momentum, dtype=torch.float64),
            "groups": normalize(torch.randn(classes if of_labels else groups, width), dim=1),
            "memory": torch.zeros(memory if regroups else 0, width),
            "written": torch.tensor(0),
            "epochs": torch.tensor(0),
        }.items():
            self.register_buffer(name, state)

    @classmethod
    def needs(cls, options: dict[str, Any]) -> frozenset[Need]:
        return frozenset(["views", "teacher"])

    @classmethod
    def check(
        cls, *, groups: int, memory: int, assignment: Assignment, reset_every: int, **others: Any
    ) -> list[str]:
        """Rules across options."""
        if memory < groups and assignment == "clusters" and reset_every > 0:
            return [f"memory: must be at least {groups}, as many as groups, got {memory}"]
        return []

    def compare(self, rows: LabelledEmbeddings) -> Float[Tensor, ""]:
        assert rows.second is not None
        embeddings = normalize(rows.embeddings, dim=1)
        targets = own = rows.labels
        if self.assignment == "clusters":
            targets = nearest(normalize(rows.second, dim=1), self.groups)
            own = nearest(embeddings, self.groups)
        moved = moved_groups(self.groups, embeddings, own, self.momentum)
        if self.training:
            self._store(moved.detach(), embeddings.detach())
        predicted = normalize(self.predictor(embeddings), dim=1)
        seen = moved if self.through_groups else moved.detach()
        return surprise(predicted, seen, targets, self.temperature)

    def epoch_end(self) -> bool:
        self.epochs += 1
        if self.reset_every == 0 or int(self.epochs) % self.reset_every > 0:
            return False
        return self.assignment == "labels" or self._regroup()

    def _store(
        self, moved: Float[Tensor, "groups width"], embeddings: Float[Tensor, "rows width"]
    ) -> None:
        self.groups.copy_(moved)
        if len(self.memory) > 0:
            latest = embeddings[-len(self.memory) :]
            order = torch.arange(len(latest), device=latest.device)
            self.memory[(self.written + order) % len(self.memory)] = latest
            self.written += len(latest)

    def _regroup(self) -> bool:
        """Groups the remembered rows anew, unless they are too few."""
        remembered = self.memory[: int(self.written)]
        if len(remembered) < len(self.groups):
            return False
        first = torch.randperm(len(remembered))[: len(self.groups)]
        self.groups.copy_(spherical_means(remembered, remembered[first], RESET_ITERATIONS))
        return True


def nearest(
    rows: Float[Tensor, "rows width"], groups: Float[Tensor, "groups width"]
) -> Int[Tensor, " rows"]:
    """Of each row, the group of unit length whose direction is most like its own."""
    return (rows @ groups.T).argmax(1)


def moved_groups(
    groups: Float[Tensor, "groups width"],
    rows: Float[Tensor, "rows width"],
    assigned: Int[Tensor, " rows"],
    momentum: Tensor | float,
) -> Float[Tensor, "groups width"]:
    """Groups after they have moved towards the mean of their rows, all of unit length."""
    belongs = assigned[:, None] == torch.arange(len(groups), device=rows.device)
    count = belongs.sum(0)[:, None]
    means = belongs.T.to(rows.dtype) @ rows / count.clamp_min(1)
    return normalize(
        torch.where(count > 0, momentum * groups + (1 - momentum) * means, groups), dim=1
    )


def surprise(
    predicted: Float[Tensor, "rows width"],
    groups: Float[Tensor, "groups width"],
    targets: Int[Tensor, " rows"],
    temperature: Tensor | float,
) -> Float[Tensor, ""]:
    """Cross-entropy of picking the target among all groups."""
    shares = (predicted @ groups.T / temperature).log_softmax(1)
    return -shares.gather(1, targets[:, None]).mean()


def spherical_means(
    rows: Float[Tensor, "rows width"], centres: Float[Tensor, "groups width"], iterations: int
) -> Float[Tensor, "groups width"]:
    """k-means of rows of unit length by cosine similarity."""
    for _ in range(iterations):
        centres = moved_groups(centres, rows, nearest(rows, centres), momentum=0.0)
    return centres


def _predictor(width: int, hidden: int) -> nn.Module:
    if hidden == 0:
        return nn.Identity()
    return nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, width))
