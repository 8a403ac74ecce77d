"""A trial that leaves everything it does in its folder, and never raises."""

import time
import traceback
from pathlib import Path
from typing import final

import pyarrow as pa
import torch
from torch import Tensor

from trainables.attempt import Attempt, Outcome
from trainables.member import TrainingError
from trainables.training import Rules, StudyData, TrialRun, TrialTask

CHECKPOINT_SECONDS = 30.0
EXAMPLE_GROUPS = 8
EXAMPLE_POINTS = 4


@final
class RecordedTrial:
    """A trial run with its attempt: resumes from the newest checkpoint, ends with an outcome file.

    A trial that an earlier attempt finished is finished from the start.

    When complete, the attempt holds ``bounds.parquet`` (one row per member, group size and pair of
    same-class groups), ``weights.safetensors`` (named ``<member>.<parameter>``) and
    ``example.safetensors``: ``points [groups, points, *shape]`` held out from the first member and
    the ``embeddings [groups, width]`` its model gives them, which any copy must reproduce.

    Args:
        task: the trial.
        study: its data.
        rules: how it is judged.
        folder: the folder of all trials.
    """

    def __init__(self, task: TrialTask, study: StudyData, rules: Rules, folder: Path) -> None:
        finished = Attempt.finished(folder / task.key)
        self.attempt = finished or Attempt.claim(folder / task.key)
        self.outcome = self.attempt.outcome()
        self.epochs = 0
        self.quality = float("nan")
        self._study, self._saved, self._started = study, time.monotonic(), time.time()
        if self.outcome is None:
            self._begin(task, rules)

    def _begin(self, task: TrialTask, rules: Rules) -> None:
        try:
            self._run = TrialRun(task, self._study, rules)
            checkpoint = self.attempt.checkpoint()
            if checkpoint:
                self._run.restore(checkpoint)
        except Exception as error:  # a component may raise anything, and the pack must go on
            self._fail(error)

    def step(self, stop_reason: str | None = None) -> None:
        """Trains to the next validation, or ends the trial as pruned for a reason."""
        try:
            if stop_reason is None:
                self._run.advance()
            else:
                self._run.stop("pruned", stop_reason)
            self.epochs, self.quality = self._run.epochs, self._run.quality
            self._save()
        except Exception as error:  # a component may raise anything, and the pack must go on
            self._fail(error)

    def checkpoint(self) -> None:
        """Saves an unfinished trial, so that a later attempt continues here."""
        if self.outcome is None and self.epochs:
            self.attempt.save_checkpoint(self._run.state())
            self._saved = time.monotonic()

    def _save(self) -> None:
        outcome = self._run.outcome
        if outcome is None:
            if time.monotonic() - self._saved > CHECKPOINT_SECONDS:
                self.checkpoint()
            return
        if outcome.state == "complete":
            self._save_products()
        self._finish(outcome)

    def _save_products(self) -> None:
        run = self._run
        self.attempt.save("bounds", bound_table(run, self._study.points.classes))
        weights = {
            f"{member}.{name}": tensor
            for member, model in enumerate(run.models)
            for name, tensor in model.state_dict().items()
        }
        self.attempt.save("weights", weights)
        self.attempt.save("example", example(run, self._study))

    def _fail(self, error: Exception) -> None:
        reason = (
            str(error) if isinstance(error, TrainingError) else f"{type(error).__name__}: {error}"
        )
        (self.attempt.folder / "error.txt").write_text("".join(traceback.format_exception(error)))
        self._finish(Outcome("failed", reason, {}, [], [], self._started, time.time()))

    def _finish(self, outcome: Outcome) -> None:
        self.attempt.finish(outcome)
        self.outcome = outcome


def bound_table(run: TrialRun, classes: tuple[str, ...]) -> pa.Table:
    """The listed pairs of every member's evaluation, with ``fold`` and ``class_name``."""
    names = pa.array(classes)
    tables = [
        evaluation.pairs.append_column("fold", pa.array([member] * len(evaluation.pairs)))
        .append_column("class_name", names.take(evaluation.pairs["label"]))
        .drop_columns("label")
        for member, evaluation in enumerate(run.evaluations)
    ]
    return pa.concat_tables(tables)


@torch.no_grad()
def example(run: TrialRun, study: StudyData) -> dict[str, Tensor]:
    """A few groups of held-out points, one per class, and their embeddings by the first model."""
    rows = run.splits[0].held_out
    labels = torch.tensor(study.points.labels[rows])
    size = min(EXAMPLE_POINTS, int(labels.bincount().max()))
    members = [
        places[:size]
        for label in labels.unique()
        if len(places := (labels == label).nonzero()[:, 0]) >= size
    ]
    chosen = torch.stack(members[:EXAMPLE_GROUPS])
    points = study.points.take(rows[chosen.flatten().numpy()]).unflatten(0, chosen.shape)
    model = run.models[0].eval()
    return {
        "points": points,
        "embeddings": model(points, torch.ones_like(chosen, dtype=torch.bool)),
    }
