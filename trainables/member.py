"""The training of one member: one configuration on one fold from one seed."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, final

import torch
from jaxtyping import Float, Int
from numpy import int64
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from trainables.configuration import Configuration
from trainables.contracts import EncodedStep, LabelledEmbeddings, Loss, Views
from trainables.data import PointSet
from trainables.model import GroupModel, build
from trainables.sampling import GroupSampler, StepPlan


class TrainingError(RuntimeError):
    """Training that cannot go on: the loss is not finite, or the embeddings have collapsed."""


@final
class Member:
    """Encoder, aggregator and loss of one member while they train.

    Everything random comes from ``seed`` and nothing else, so a member trains the same alone,
    beside others, and after a restart from :meth:`state`.

    Args:
        configuration: what is trained.
        points: all points of the study.
        rows: the points of this member's training part.
        seed: of weights, batches, views and dropout.
        unit_length: whether point embeddings have length 1.
    """

    def __init__(
        self,
        configuration: Configuration,
        points: PointSet,
        rows: NDArray[int64],
        seed: int,
        unit_length: bool,
    ) -> None:
        self._configuration = configuration
        self._points = points
        self._rows = rows
        self._generator = Generator().manual_seed(seed)
        self._global_state = Generator().manual_seed(seed).get_state()
        self.epochs = 0
        training = configuration.training
        with self._own_randomness():
            self.model = GroupModel(configuration, points.shape, unit_length)
            self._loss: Loss = build("loss", configuration.loss)
            self._views: Views | None = (
                build("views", configuration.views, points.shape) if configuration.views else None
            )
        self._learning = nn.ModuleDict({"model": self.model, "loss": self._loss})
        self._optimizer = torch.optim.AdamW(
            self._learning.parameters(),
            lr=training.learning_rate,
            weight_decay=training.weight_decay,
            fused=True,
        )
        self._sampler = GroupSampler(
            points.labels[rows],
            points.groups[rows] if points.groups is not None else None,
            **training.batch,
        )

    def train_epoch(self) -> float:
        """Trains one epoch and returns its mean loss.

        Raises:
            TrainingError: if the loss is not finite.
        """
        self._learning.train()
        with self._own_randomness():
            losses = [self._step(plan) for plan in self._sampler.epoch(self._generator)]
            self._loss.epoch_end()
        self.epochs += 1
        mean = float(torch.stack(losses).mean())
        if not math.isfinite(mean):
            raise TrainingError(f"the loss became {mean} in epoch {self.epochs}")
        return mean

    def encode(self, plan: StepPlan) -> EncodedStep:
        """What the loss sees of one step."""
        points = self._points.take(self._rows[plan.rows.numpy()])
        if self._views is not None:
            points = torch.cat([self._views(points, self._generator) for _ in range(2)])
        output = self.model.embed(points)
        views = output.embedding.split(len(plan.rows))
        groups = [self.model.aggregator(view[plan.members], plan.mask) for view in views]
        group_labels = plan.group_labels
        if self._views is not None and self._configuration.training.group_views == "disjoint":
            groups, group_labels = self._halves(groups[0], group_labels)
        return EncodedStep(
            points=LabelledEmbeddings(views[0], plan.labels, *views[1:]),
            groups=LabelledEmbeddings(groups[0], group_labels, *groups[1:]),
            members=plan.members,
            mask=plan.mask,
            group_logits=output.group_logits,
        )

    def _halves(
        self, groups: Float[Tensor, "groups width"], labels: Int[Tensor, " groups"]
    ) -> tuple[list[Float[Tensor, "views width"]], Int[Tensor, " views"]]:
        """Two views made of disjoint groups: each class's first half of groups, and its second."""
        shape = (self._configuration.training.classes_per_batch, 2, -1)
        first, second = groups.unflatten(0, shape).unbind(1)
        return [first.flatten(0, 1), second.flatten(0, 1)], labels.view(shape)[:, 0].flatten()

    def state(self) -> dict[str, Any]:
        """Everything a restart needs: weights, optimiser, random states, epochs done."""
        return {
            "learning": self._learning.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "generator": self._generator.get_state(),
            "global_state": self._global_state,
            "epochs": self.epochs,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continues where :meth:`state` was taken."""
        self._learning.load_state_dict(state["learning"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._generator.set_state(state["generator"])
        self._global_state = state["global_state"]
        self.epochs = state["epochs"]

    def _step(self, plan: StepPlan) -> Float[Tensor, ""]:
        loss: Tensor = self._loss(self.encode(plan))
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        return loss.detach()

    @contextmanager
    def _own_randomness(self) -> Iterator[None]:
        """Swaps in the member's own state of the global generator: weights and dropout use it."""
        foreign = torch.get_rng_state()
        torch.set_rng_state(self._global_state)
        try:
            yield
        finally:
            self._global_state = torch.get_rng_state()
            torch.set_rng_state(foreign)
