"""The training of one member: one configuration on one fold from one seed."""

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from time import perf_counter
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float
from numpy import int64
from numpy.typing import NDArray
from torch import Generator, Tensor
from torch.utils._pytree import tree_map_only

from trainables.adamw import AdamW
from trainables.configuration import Configuration
from trainables.contracts import EncodedStep, Loss, Views
from trainables.data import PointSet
from trainables.device import CPU, generators, sent, set_states
from trainables.learner import Learner, Seen, seen
from trainables.model import GroupModel, build
from trainables.resident import ResidentPoints
from trainables.sampling import GroupSampler
from trainables.step_plan import StepPlan
from trainables.teacher import Teacher


class TrainingError(RuntimeError):
    """Training that cannot go on: the loss is not finite, or the embeddings have collapsed."""


def check_finite(loss: float, epoch: int) -> None:
    """Raises a :class:`TrainingError` if the loss of an epoch is not finite."""
    if not math.isfinite(loss):
        raise TrainingError(f"the loss became {loss} in epoch {epoch}")


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
        device: where it trains; weights begin the same on all.
    """

    def __init__(
        self,
        configuration: Configuration,
        points: PointSet,
        rows: NDArray[int64],
        seed: int,
        unit_length: bool,
        device: torch.device = CPU,
    ) -> None:
        self._configuration = configuration
        self._device = device
        # Views are drawn on the CPU, to be the same everywhere.
        self._resident = ResidentPoints(points, CPU if configuration.views else device)
        self._rows = torch.tensor(rows)
        self._generator = Generator().manual_seed(seed)
        own = (Generator(shared.device).manual_seed(seed) for shared in generators(device))
        self._global_states = [generator.get_state() for generator in own]
        self.epochs = 0
        training = configuration.training
        classes, labels = np.unique(points.labels[rows], return_inverse=True)
        with self._own_randomness():
            self.model = GroupModel(configuration, points.shape, unit_length)
            loss: Loss = build(
                "loss",
                configuration.loss,
                width=self.model.aggregator.width,
                classes=len(classes),
                latent=self.model.encoder.latent,
            )
            views = configuration.views
            self._views: Views | None = build("views", views, shape=points.shape) if views else None
        needs_teacher = "teacher" in loss.needs(dict(configuration.loss.options))
        is_disjoint = self._views is not None and training.group_views == "disjoint"
        step = (training.classes_per_batch, is_disjoint, training.precision)
        self.learner = Learner(self.model, loss, *step).to(device)
        self._teacher = Teacher(self.model) if needs_teacher else None
        rates = (training.learning_rate, training.weight_decay)
        self.optimizer = AdamW(self.learner.parameters(), *rates)
        self._sampler = GroupSampler(
            labels,
            points.groups[rows] if points.groups is not None else None,
            **training.batch,
        )

    @cached_property
    def shape(self) -> str | None:
        """What members must have in common to be stepped together; None for one that cannot be.

        Values of options that are tensors may differ, and those of the optimiser.
        """
        model, training = self.model, self._configuration.training
        parts: list[Any] = [model.encoder, model.aggregator, self.learner.loss]
        if self._teacher or not all(part.tensor_program for part in parts):
            return None
        components = self._configuration.nested()
        del components["training"]
        tensors = self.learner.state_dict()
        own = {name.rpartition(".")[2] for name in tensors}
        for of_slot in components.values():
            for options in of_slot.values():
                # A value of 0 may switch a part off.
                options |= {name: bool(options[name]) for name in own & options.keys()}
        shapes = [(str(tensor.dtype), *tensor.shape) for tensor in tensors.values()]
        way = [training.group_views, training.precision]
        step = [training.batch, *way, self._sampler.steps_per_epoch]
        return json.dumps([components, shapes, step])

    def train_epoch(self) -> float:
        """Trains one epoch and returns its mean loss.

        Raises:
            TrainingError: if the loss is not finite.
        """
        with self._own_randomness():
            losses = [self._step(plan) for plan in self.begin_epoch().steps()]
        mean = self.end_epoch(losses)
        check_finite(mean, self.epochs)
        return mean

    def begin_epoch(self) -> StepPlan:
        """The steps of the next epoch, whose rows are those of all points."""
        self.learner.train()
        if self._teacher:
            self._teacher.model.train()
        plans = self._sampler.epoch(self._generator)
        return plans._replace(rows=self._rows[plans.rows])

    def end_epoch(self, losses: list[Tensor]) -> float:
        """Ends an epoch whose steps had these losses, and returns their mean, finite or not."""
        with self._own_randomness():
            starts_teacher_again = self.learner.loss.epoch_end()
        if self._teacher and starts_teacher_again:
            self._teacher.copy(self.model)
        self.epochs += 1
        return float(torch.stack(losses).mean())

    def try_steps(self, most: int) -> tuple[list[float], int]:
        """Seconds of the first steps of an epoch, and how many steps it has.

        For a probe: what has learned here is not to be trained on.
        """
        seconds, plans = [], self.begin_epoch().steps()
        with self._own_randomness():
            for plan in plans[:most]:
                began = perf_counter()
                self._step(plan)
                seconds.append(perf_counter() - began)
        return seconds, len(plans)

    def views(self, plan: StepPlan) -> list[Float[Tensor, "batch *shape"]]:
        """The points of a step, or two random views of them where the loss needs such."""
        return self._drawn(self._resident.take(plan.rows))

    @staticmethod
    def stacked_views(
        members: Sequence["Member"], plans: StepPlan
    ) -> list[Float[Tensor, "members batch *shape"]]:
        """What :meth:`views` gives of members on the same points, stacked, for stacked plans."""
        points = members[0]._resident.take(plans.rows)
        if members[0]._views is None:  # then none of them has, being of one shape
            return [points]
        drawn = (member._drawn(own) for member, own in zip(members, points, strict=True))
        return [torch.stack(of_view) for of_view in zip(*drawn, strict=True)]

    def _drawn(self, points: Float[Tensor, "batch *shape"]) -> list[Float[Tensor, "batch *shape"]]:
        if self._views is None:
            return [points]
        return [sent(self._views(points, self._generator), self._device) for _ in range(2)]

    def uniform(self, shape: torch.Size, dtype: torch.dtype) -> Tensor:
        """Random numbers in [0, 1), the next that dropout would draw."""
        with self._own_randomness():
            return torch.rand(shape, dtype=dtype)

    def encode(self, plan: StepPlan) -> EncodedStep:
        """What the loss sees of one step; a teacher, if there is one, encodes the second views."""
        return self.learner.encode(*self._material(plan))

    def state(self) -> dict[str, Any]:
        """A copy of all that a restart needs: weights, optimiser, random states, epochs done."""
        state = {
            "learning": self.learner.state_dict(),
            "teacher": self._teacher.model.state_dict() if self._teacher else None,
            "optimizer": self.optimizer.state,
            "generator": self._generator.get_state(),
            "global_states": self._global_states,
            "epochs": self.epochs,
        }
        # The tensors may be parts of larger ones, and are about to change.
        copied: dict[str, Any] = tree_map_only(Tensor, Tensor.clone, state)
        return copied

    def restore(self, state: dict[str, Any]) -> None:
        """Continues where :meth:`state` was taken."""
        # In memory of their own, not in the stacks of a pack: where they lie decides on rounding.
        for name, tensor in self.learner.state_dict(keep_vars=True).items():
            tensor.data = state["learning"][name].to(self._device, copy=True)
        if self._teacher:
            self._teacher.model.load_state_dict(state["teacher"])
        self.optimizer.restore(state["optimizer"])
        self._generator.set_state(state["generator"])
        self._global_states = state["global_states"]
        self.epochs = state["epochs"]

    def _step(self, plan: StepPlan) -> Float[Tensor, ""]:
        if self._teacher:
            self._teacher.follow(self.model, self.learner.loss.teacher_momentum)
        loss: Tensor = self.learner(*self._material(plan))
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def _material(self, plan: StepPlan) -> tuple[list[Tensor], StepPlan, Seen | None]:
        """What the learner takes: views, plan, and what a teacher has made of the second view."""
        views, plan = self.views(plan), plan.on(self._device)
        if self._teacher is None:
            return views, plan, None
        precision = self._configuration.training.precision
        with torch.no_grad():
            return views[:1], plan, seen(self._teacher.model, views[1:], plan, precision)

    @contextmanager
    def _own_randomness(self) -> Iterator[None]:
        """Swaps in the member's own state of global generators: weights and dropout use them."""
        shared = generators(self._device)
        foreign = [generator.get_state() for generator in shared]
        set_states(shared, self._global_states)
        try:
            yield
        finally:
            self._global_states = [generator.get_state() for generator in shared]
            set_states(shared, foreign)
