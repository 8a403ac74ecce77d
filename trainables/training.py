"""Trains and judges one trial: its members in lock-step, one per fold; needs no cluster.

In a notebook: ``TrialRun(task, study, rules).run()`` gives the outcome of a configuration.
"""

import time
from copy import deepcopy
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any, Literal, final

import torch
from torch import Tensor

from trainables.attempt import Outcome, State
from trainables.configuration import Configuration
from trainables.data import PointSet
from trainables.evaluation import Evaluation, Protocol, evaluate, quality_at
from trainables.group_aware import GroupAware
from trainables.input_reading import InputSpace
from trainables.member import Member, TrainingError
from trainables.model import GroupModel
from trainables.splits import Split

Phase = Literal["search", "confirmation"]
PREFIXES: dict[Phase, str] = {"search": "val", "confirmation": "test"}
COLLAPSED = 1e-6


@final
@dataclass(frozen=True)
class StudyData:
    """The points of a study and how they are divided; shared by all trials, read-only.

    Args:
        points: all points; ``groups`` only where groups are drawn inside natural ones.
        folds: training and validation rows of the search phase.
        final: training and test rows of the confirmation phase.
    """

    points: PointSet
    folds: tuple[Split, ...]
    final: Split

    def splits(self, phase: Phase) -> tuple[Split, ...]:
        """The splits a trial of this phase trains on; only a confirmation sees the test rows."""
        return self.folds if phase == "search" else (self.final,)


@final
@dataclass(frozen=True)
class Rules:
    """How every trial of a study is judged, the same for all.

    Args:
        protocol: group sizes, draws and seed of the evaluation.
        quality_name: metric validated while training, as ``map_at_r.size5``.
        unit_length: whether point embeddings have length 1.
        report_every: epochs between two validations.
        group_aware: a second similarity by which points are judged, where an encoder has it.
    """

    protocol: Protocol
    quality_name: str
    unit_length: bool
    report_every: int
    group_aware: GroupAware | None = None


@final
@dataclass(frozen=True)
class TrialTask:
    """A trial to run: what to train, as ``Configuration.nested``, and one seed for each member."""

    key: str
    phase: Phase
    configuration: dict[str, Any]
    seeds: tuple[int, ...]


@final
class TrialRun:
    """One trial while it runs: a member for each fold, all at the same epoch.

    Args:
        task: the trial.
        study: its data.
        rules: how it is judged.
    """

    def __init__(self, task: TrialTask, study: StudyData, rules: Rules) -> None:
        self.key = task.key
        self.outcome: Outcome | None = None
        self.evaluations: list[Evaluation] = []
        self.configuration = Configuration.from_nested(task.configuration)
        self.splits = study.splits(task.phase)
        self._study, self._rules, self._prefix = study, rules, PREFIXES[task.phase]
        self._started = time.time()
        self._history: list[dict[str, Any]] = []
        self._members = [
            Member(self.configuration, study.points, split.train, seed, rules.unit_length)
            for split, seed in zip(self.splits, task.seeds, strict=True)
        ]

    @property
    def epochs(self) -> int:
        """Epochs done, the same for every member."""
        return self._members[0].epochs

    @property
    def models(self) -> list[GroupModel]:
        """The model of each member."""
        return [member.model for member in self._members]

    @property
    def quality(self) -> float:
        """The last validated quality, mean over folds; NaN before the first validation."""
        name = f"{self._prefix}/{self._rules.quality_name}"
        return float(self._history[-1]["metrics"][name]) if self._history else float("nan")

    def run(self) -> Outcome:
        """Trains to the end and judges: the plain way to use a trial, without a cluster.

        Raises:
            TrainingError: if a loss is not finite or the embeddings have collapsed.
        """
        while self.outcome is None:
            self.advance()
        return self.outcome

    def advance(self) -> None:
        """Trains until the next validation; after the last epoch judges and sets the outcome.

        Raises:
            TrainingError: if a loss is not finite or the embeddings have collapsed.
        """
        last = self.configuration.training.epochs
        epochs = min(self._rules.report_every, last - self.epochs)
        loss = fmean(m.train_epoch() for m in self._members for _ in range(epochs))
        if self.epochs < last:
            self._validated(loss, fmean(map(self._validate, range(len(self._members)))))
        else:
            self._judge(loss)

    def stop(self, state: State, reason: str) -> None:
        """Ends the trial before its last epoch, judged as it stands.

        Raises:
            TrainingError: if the embeddings have collapsed.
        """
        metrics, member_metrics = self._judged()
        loss = self._history[-1]["metrics"] if self._history else {}
        self._end(state, reason, {**loss, **metrics}, member_metrics)

    def state(self) -> dict[str, Any]:
        """Everything another process needs to continue here."""
        members = [member.state() for member in self._members]
        return {"members": members, "history": self._history, "started": self._started}

    def restore(self, state: dict[str, Any]) -> None:
        """Continues where :meth:`state` was taken; leaves ``state`` as it is."""
        # The optimiser would go on working in the very tensors it is given.
        state = deepcopy(state)
        self._history, self._started = state["history"], state["started"]
        for member, of_member in zip(self._members, state["members"], strict=True):
            member.restore(of_member)

    def _validate(self, member: int) -> float:
        aggregator, rules = self.models[member].aggregator, self._rules
        return quality_at(rules.quality_name, *self._held_out(member), aggregator, rules.protocol)

    def _judge(self, loss: float) -> None:
        metrics, member_metrics = self._judged()
        self._validated(loss, metrics[f"{self._prefix}/{self._rules.quality_name}"])
        self._end("complete", "", {"train/loss": loss, **metrics}, member_metrics)

    def _judged(self) -> tuple[dict[str, float], list[dict[str, float]]]:
        """All metrics of the models as they are: means over the members, and of each member."""
        self.evaluations = [self._evaluated(member) for member in range(len(self._members))]
        member_metrics = [self._named(evaluation) for evaluation in self.evaluations]
        metrics = {
            name: fmean(of_member[name] for of_member in member_metrics)
            for name in member_metrics[0]
        }
        return metrics, member_metrics

    def _held_out(self, member: int) -> tuple[Tensor, Tensor, Tensor | None]:
        """Embeddings, labels and natural groups of a member's held-out points."""
        points, rows = self._study.points, self.splits[member].held_out
        embeddings = self.models[member].embed_all(points.take(rows))
        if not bool(embeddings.isfinite().all()):
            raise TrainingError(f"embeddings are not finite after epoch {self.epochs}")
        groups = None if points.groups is None else torch.tensor(points.groups[rows])
        return embeddings, torch.tensor(points.labels[rows]), groups

    def _inputs(self, member: int) -> InputSpace | None:
        """A member's held-out points, where its encoder's stretch of their distances is known."""
        # Embeddings of length 1 are stretched once more, without a limit near 0.
        lipschitz = self.models[member].encoder.lipschitz()
        if lipschitz is None or self._rules.unit_length:
            return None
        return InputSpace(self._study.points.take(self.splits[member].held_out), lipschitz)

    def _evaluated(self, member: int) -> Evaluation:
        aggregator, rules = self.models[member].aggregator, self._rules
        inputs = self._inputs(member)
        found = evaluate(*self._held_out(member), aggregator, rules.protocol, inputs)
        return replace(found, quality=found.quality | self._group_aware_quality(member))

    def _group_aware_quality(self, member: int) -> dict[str, float]:
        model, points, rows = self.models[member], self._study.points, self.splits[member].held_out
        if self._rules.group_aware is None or not model.encoder.tells_groups:
            return {}
        embeddings, logits = model.encode_all(points.take(rows))
        assert logits is not None
        return self._rules.group_aware.quality(
            embeddings, logits, torch.tensor(points.labels[rows])
        )

    def _named(self, evaluation: Evaluation) -> dict[str, float]:
        """Metrics of one member under their full names; refuses collapsed embeddings."""
        for name, value in evaluation.bound.items():
            if name.startswith("scale.") and value < COLLAPSED:
                raise TrainingError(f"collapsed: different classes are {value:.1e} apart")
        quality = {f"{self._prefix}/{name}": value for name, value in evaluation.quality.items()}
        return {**quality, **{f"bound/{name}": value for name, value in evaluation.bound.items()}}

    def _validated(self, loss: float, quality: float) -> None:
        name = f"{self._prefix}/{self._rules.quality_name}"
        metrics = {"train/loss": loss, name: quality}
        self._history.append({"epoch": self.epochs, "time": time.time(), "metrics": metrics})

    def _end(
        self,
        state: State,
        reason: str,
        metrics: dict[str, float],
        member_metrics: list[dict[str, float]],
    ) -> None:
        self.outcome = Outcome(
            state=state,
            reason=reason,
            metrics=metrics,
            member_metrics=member_metrics,
            history=self._history,
            started=self._started,
            ended=time.time(),
            execution={"threads": torch.get_num_threads(), "torch": torch.__version__},
        )
