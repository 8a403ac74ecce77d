"""Trains and judges one trial: its members in lock-step, one per fold; needs no cluster.

An ensemble, or what is untrained, has models and no members: it is judged at once.

In a notebook: ``TrialRun(task, study, rules).run()`` gives the outcome of a configuration.
"""

import time
from collections.abc import Mapping
from itertools import chain
from statistics import fmean
from typing import Any, NamedTuple, final

import torch
from torch import Tensor

from trainables.attempt import Outcome, State
from trainables.certificates import Reference
from trainables.configuration import Configuration
from trainables.device import CPU
from trainables.ensemble import models_of
from trainables.evaluation import Evaluation
from trainables.exhibit import Exhibit
from trainables.judging import Judge
from trainables.member import Member, check_finite
from trainables.model import untrained
from trainables.splits import Split
from trainables.tasks import Rules, StudyData, TrialTask


class Trained(NamedTuple):
    """Losses of every member of a trial, epoch by epoch, and how many were stepped together."""

    losses: list[list[float]]
    pack: int = 1


@final
class TrialRun:
    """One trial while it runs: a member for each fold, all at the same epoch.

    Args:
        task: the trial.
        study: its data.
        rules: how it is judged.
        weights: of an ensemble's models, by ``<member>.<parameter>``.
        device: where members train.
    """

    def __init__(
        self,
        task: TrialTask,
        study: StudyData,
        rules: Rules,
        weights: Mapping[str, Tensor] | None = None,
        device: torch.device = CPU,
    ) -> None:
        self.key = task.key
        self.outcome: Outcome | None = None
        self.evaluations: list[Evaluation] = []
        self.exhibit: Exhibit | None = None
        self.reference: Reference | None = None
        self.configuration = Configuration.from_nested(task.configuration)
        self._judge = Judge(study, rules, task.phase)
        self._report_every, self._started = rules.report_every, time.time()
        self._history: list[dict[str, Any]] = []
        self.members: list[Member] = []
        self._pack = 1
        model = (self.configuration, study.points.shape, rules.unit_length)
        if task.phase == "ensemble":
            self.models = models_of(*model, weights or {})
        elif task.phase == "untrained":
            self.models = [untrained(*model, seed) for seed in task.seeds]
        else:
            self.members = [
                Member(
                    self.configuration, study.points, split.train, seed, rules.unit_length, device
                )
                for split, seed in zip(self.splits, task.seeds, strict=True)
            ]
            self.models = [member.model for member in self.members]

    @property
    def splits(self) -> tuple[Split, ...]:
        """What each model trains on and is judged by."""
        return self._judge.splits

    @property
    def epochs(self) -> int:
        """Epochs done, the same for every member; 0 where nothing is trained."""
        return self.members[0].epochs if self.members else 0

    @property
    def quality(self) -> float:
        """The last validated quality, mean over folds; NaN before the first validation."""
        last = self._history[-1]["metrics"] if self._history else {}
        return float(last.get(self._judge.quality_name, float("nan")))

    def run(self) -> Outcome:
        """Trains to the end and judges: the plain way to use a trial, without a cluster.

        Raises:
            TrainingError: if a loss is not finite or the embeddings have collapsed.
        """
        while self.outcome is None:
            self.advance()
        return self.outcome

    @property
    def epochs_until_validation(self) -> int:
        """Epochs of the next :meth:`advance`."""
        last = self.configuration.training.epochs if self.members else 0
        return min(self._report_every, last - self.epochs)

    def advance(self, trained: Trained | None = None) -> None:
        """Trains until the next validation; after the last epoch judges and sets the outcome.

        Args:
            trained: what has come of it where the members have just been trained so far.

        Raises:
            TrainingError: if a loss is not finite or the embeddings have collapsed.
        """
        if not self.members:
            self._end("complete")
            return
        if trained is None:
            epochs = range(self.epochs_until_validation)
            trained = Trained([[member.train_epoch() for _ in epochs] for member in self.members])
        losses = trained.losses
        for epoch, of_epoch in enumerate(zip(*losses, strict=True), self.epochs + 1):
            check_finite(sum(of_epoch), epoch - len(losses[0]))
        self._pack = max(self._pack, trained.pack)
        loss = fmean(chain.from_iterable(losses))
        if self.epochs < self.configuration.training.epochs:
            self._validated(loss, self._judge.quality(self.models))
        else:
            self._end("complete", loss=loss)

    def stop(self, state: State, reason: str) -> None:
        """Ends the trial before its last epoch, judged as it stands.

        Raises:
            TrainingError: if the embeddings have collapsed.
        """
        self._end(state, reason)

    def state(self) -> dict[str, Any]:
        """Everything another process needs to continue here."""
        members = [member.state() for member in self.members]
        own = {"history": self._history, "started": self._started, "pack": self._pack}
        return {"members": members, **own}

    def restore(self, state: dict[str, Any]) -> None:
        """Continues where :meth:`state` was taken; leaves ``state`` as it is."""
        self._history, self._started = list(state["history"]), state["started"]
        self._pack = state["pack"]
        for member, of_member in zip(self.members, state["members"], strict=True):
            member.restore(of_member)

    def _validated(self, loss: float, quality: float) -> None:
        metrics = {"train/loss": loss, self._judge.quality_name: quality}
        self._history.append({"epoch": self.epochs, "time": time.time(), "metrics": metrics})

    def _end(self, state: State, reason: str = "", loss: float | None = None) -> None:
        """Judges what there is; ``loss`` is that of a last epoch that is not validated yet."""
        found = self._judge.judge(self.models)
        self.evaluations, self.exhibit = found.evaluations, found.exhibit
        self.reference = found.reference
        if loss is not None:
            self._validated(loss, found.metrics[self._judge.quality_name])
        last = self._history[-1]["metrics"] if self._history else {}
        self.outcome = Outcome(
            state=state,
            reason=reason,
            metrics={**last, **found.metrics},
            member_metrics=found.member_metrics,
            history=self._history,
            started=self._started,
            ended=time.time(),
            execution={
                "device": self.models[0].device.type,
                "threads": torch.get_num_threads(),
                "torch": torch.__version__,
                "pack": self._pack,
            },
        )
