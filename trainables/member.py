"""The training of one member: one configuration on one fold from one seed."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any, NamedTuple, final

import numpy as np
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
from trainables.teacher import Teacher


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
        classes, labels = np.unique(points.labels[rows], return_inverse=True)
        with self._own_randomness():
            self.model = GroupModel(configuration, points.shape, unit_length)
            self._loss: Loss = build(
                "loss",
                configuration.loss,
                width=self.model.aggregator.width,
                classes=len(classes),
                latent=self.model.encoder.latent,
            )
            self._views: Views | None = (
                build("views", configuration.views, shape=points.shape)
                if configuration.views
                else None
            )
        needs_teacher = "teacher" in self._loss.needs(dict(configuration.loss.options))
        self._teacher = Teacher(self.model) if needs_teacher else None
        self._learning = nn.ModuleDict({"model": self.model, "loss": self._loss})
        self._optimizer = torch.optim.AdamW(
            self._learning.parameters(),
            lr=training.learning_rate,
            weight_decay=training.weight_decay,
            fused=True,
        )
        self._sampler = GroupSampler(
            labels,
            points.groups[rows] if points.groups is not None else None,
            **training.batch,
        )

    def train_epoch(self) -> float:
        """Trains one epoch and returns its mean loss.

        Raises:
            TrainingError: if the loss is not finite.
        """
        self._learning.train()
        if self._teacher:
            self._teacher.model.train()
        with self._own_randomness():
            losses = [self._step(plan) for plan in self._sampler.epoch(self._generator)]
            starts_teacher_again = self._loss.epoch_end()
        if self._teacher and starts_teacher_again:
            self._teacher.copy(self.model)
        self.epochs += 1
        mean = float(torch.stack(losses).mean())
        if not math.isfinite(mean):
            raise TrainingError(f"the loss became {mean} in epoch {self.epochs}")
        return mean

    def try_steps(self, most: int) -> tuple[list[float], int]:
        """Seconds of the first steps of an epoch, and how many steps it has.

        For a probe: what has learned here is not to be trained on.
        """
        seconds = []
        self._learning.train()
        with self._own_randomness():
            plans = self._sampler.epoch(self._generator)
            for plan in plans[:most]:
                began = perf_counter()
                self._step(plan)
                seconds.append(perf_counter() - began)
        return seconds, len(plans)

    def encode(self, plan: StepPlan) -> EncodedStep:
        """What the loss sees of one step; a teacher, if there is one, encodes the second views."""
        points = self._points.take(self._rows[plan.rows.numpy()])
        views = [points]
        if self._views is not None:
            views = [self._views(points, self._generator) for _ in range(2)]
        seen = _seen(self.model, views if self._teacher is None else views[:1], plan)
        if self._teacher is not None:
            with torch.no_grad():
                taught = _seen(self._teacher.model, views[1:], plan)
            seen = _Seen(seen.points + taught.points, seen.groups + taught.groups, seen.logits)
        groups, group_labels = seen.groups, plan.group_labels
        if self._views is not None and self._configuration.training.group_views == "disjoint":
            groups, group_labels = self._halves(groups, group_labels)
        return EncodedStep(
            points=LabelledEmbeddings(seen.points[0], plan.labels, *seen.points[1:]),
            groups=LabelledEmbeddings(groups[0], group_labels, *groups[1:]),
            members=plan.members,
            mask=plan.mask,
            group_logits=seen.logits,
        )

    def _halves(
        self, views: list[Tensor], labels: Int[Tensor, " groups"]
    ) -> tuple[list[Tensor], Int[Tensor, " half"]]:
        """Two views made of disjoint groups: each class's first half of groups, and its second."""
        shape = (self._configuration.training.classes_per_batch, 2, -1)
        halves = [view.unflatten(0, shape)[:, i].flatten(0, 1) for i, view in enumerate(views)]
        return halves, labels.view(shape)[:, 0].flatten()

    def state(self) -> dict[str, Any]:
        """Everything a restart needs: weights, optimiser, random states, epochs done."""
        return {
            "learning": self._learning.state_dict(),
            "teacher": self._teacher.model.state_dict() if self._teacher else None,
            "optimizer": self._optimizer.state_dict(),
            "generator": self._generator.get_state(),
            "global_state": self._global_state,
            "epochs": self.epochs,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continues where :meth:`state` was taken."""
        self._learning.load_state_dict(state["learning"])
        if self._teacher:
            self._teacher.model.load_state_dict(state["teacher"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._generator.set_state(state["generator"])
        self._global_state = state["global_state"]
        self.epochs = state["epochs"]

    def _step(self, plan: StepPlan) -> Float[Tensor, ""]:
        if self._teacher:
            self._teacher.follow(self.model, self._loss.teacher_momentum)
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


class _Seen(NamedTuple):
    """Embeddings of the points and of the groups of each view, and the first view's logits."""

    points: list[Tensor]
    groups: list[Tensor]
    logits: Tensor | None


def _seen(model: GroupModel, views: list[Tensor], plan: StepPlan) -> _Seen:
    """What a model makes of the views of a step, encoded together."""
    output = model.embed(torch.cat(views) if len(views) > 1 else views[0])
    points = list(output.embedding.split(len(plan.rows)))
    groups = [model.aggregator(view[plan.members], plan.mask) for view in points]
    logits = output.group_logits
    return _Seen(points, groups, None if logits is None else logits[: len(plan.rows)])
