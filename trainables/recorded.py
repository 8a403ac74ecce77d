"""A trial that leaves everything it does in its folder, and never raises."""

import time
import traceback
from contextlib import suppress
from typing import final

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from safetensors.torch import load
from torch import Tensor

from trainables.attempt import Attempt, Outcome
from trainables.device import CPU
from trainables.limits import Limits, ending_after, is_out_of_memory
from trainables.member import TrainingError
from trainables.places import Place
from trainables.tasks import Rules, StudyData, TrialTask
from trainables.training import Trained, TrialRun

CHECKPOINT_SECONDS = 30.0
EXAMPLE_GROUPS = 8
EXAMPLE_POINTS = 4
UNLIMITED = Limits()


@final
class RecordedTrial:
    """A trial run with its attempt: resumes from the newest checkpoint, ends with an outcome file.

    A trial that an earlier attempt finished is finished from the start. One that runs out of memory
    where there is more to be had is over without an outcome: a later attempt continues it.

    When complete, the attempt holds ``bounds.parquet``: one row per member, group size and pair of
    same-class groups; of a model on the test points also ``map.parquet`` and ``witness.parquet``,
    see :class:`trainables.exhibit.Exhibit`. Of what was trained it also holds
    ``weights.safetensors`` (named ``<member>.<parameter>``) and ``example.safetensors``: ``points
    [groups, points, *shape]`` held out from the first member and the ``embeddings [groups, width]``
    its model gives them, which any copy must reproduce. A confirmation whose aggregator the theorem
    covers also holds ``reference.safetensors``, the fields of
    :class:`trainables.certificates.Reference`.

    Args:
        task: the trial.
        study: its data.
        rules: how it is judged.
        folder: the folder of all trials.
        limits: what it may take of this machine.
        device: where it trains.
    """

    def __init__(
        self,
        task: TrialTask,
        study: StudyData,
        rules: Rules,
        folder: Place,
        limits: Limits = UNLIMITED,
        device: torch.device = CPU,
    ) -> None:
        self.outcome: Outcome | None = None
        if finished := Attempt.finished(folder / task.key):
            self.attempt, self.outcome = finished
        else:
            self.attempt = Attempt.claim(folder / task.key)
        self.epochs = 0
        self.quality = float("nan")
        self.lacks_memory = False
        self._study, self._saved, self._started = study, time.monotonic(), time.time()
        self._limits, self._spent, self._device = limits, 0.0, device
        if self.outcome is None:
            self._begin(task, rules, folder)

    def _begin(self, task: TrialTask, rules: Rules, folder: Place) -> None:
        try:
            weights = load((folder / task.weights).read_bytes()) if task.weights else None
            with ending_after(self.seconds_left, self.hang):
                self._run = TrialRun(task, self._study, rules, weights, self._device)
                checkpoint = self.attempt.checkpoint()
                if checkpoint:
                    self._run.restore(checkpoint)
        except Exception as error:  # a component may raise anything, and the pack must go on
            self._fail(error)
        self._give_back()

    def step(self, stop_reason: str | None = None, trained: Trained | None = None) -> None:
        """Trains to the next validation, or ends the trial as pruned for a reason.

        Args:
            stop_reason: of a trial that shall not go on.
            trained: what has come of it where that is done already, see :meth:`spend`.

        Raises:
            OSError: if what it leaves cannot be written, which is not the trial's fault.
        """
        began, products = time.monotonic(), None
        try:
            with ending_after(self.seconds_left, self.hang):
                if stop_reason is None:
                    self._run.advance(trained)
                else:
                    self._run.stop("pruned", stop_reason)
                products = self._products()
        except Exception as error:  # a component may raise anything, and the pack must go on
            self._fail(error)
        if products is None:
            self._give_back()
            return
        self._spent += time.monotonic() - began
        self.epochs, self.quality = self._run.epochs, self._run.quality
        self._save(products)

    @property
    def run(self) -> TrialRun | None:
        """What there is to train, of a trial that has not ended."""
        return None if self.is_over else self._run

    @property
    def is_over(self) -> bool:
        """Whether this attempt has come to its end, with an outcome or for want of memory."""
        return self.lacks_memory or self.outcome is not None

    @property
    def seconds_left(self) -> float | None:
        """How long this attempt may still train; None for no limit."""
        limit = self._limits.seconds
        return None if limit is None else max(0.0, limit - self._spent)

    def spend(self, seconds: float) -> None:
        """Counts time that this trial has trained, together with others."""
        self._spent += seconds

    def checkpoint(self) -> None:
        """Saves an unfinished trial, so that a later attempt continues here; does what it can."""
        if self.epochs and not self.is_over:
            state = self._run.state()
            self._saved = time.monotonic()
            if self._limits.allows_checkpoint(state):
                with suppress(OSError):  # without one the trial only begins anew
                    self.attempt.save_checkpoint(state)

    def hang(self) -> None:
        """Called from another thread while a step takes too long, just before the process ends."""
        minutes = (self._limits.seconds or 0.0) / 60
        reason = f"time limit: an attempt may train for {minutes:g} minutes"
        self._finish(Outcome("failed", reason, {}, [], [], self._started, time.time()))

    def _save(self, products: dict[str, dict[str, Tensor] | pa.Table]) -> None:
        outcome = self._run.outcome
        if outcome is None:
            if time.monotonic() - self._saved > CHECKPOINT_SECONDS:
                self.checkpoint()
            return
        for name, content in products.items():
            self.attempt.save(name, content)
        self._finish(outcome)

    def _products(self) -> dict[str, dict[str, Tensor] | pa.Table]:
        """What a complete trial leaves besides its outcome, by the names of the files."""
        run = self._run
        if run.outcome is None or run.outcome.state != "complete":
            return {}
        tables = {"bounds": bound_table(run, self._study.points.classes)}
        if run.exhibit is not None:
            tables |= run.exhibit._asdict()
        if not run.epochs:
            return tables
        weights = {
            f"{member}.{name}": tensor
            for member, model in enumerate(run.models)
            for name, tensor in model.state_dict().items()
        }
        products = {**tables, "weights": weights, "example": example(run, self._study)}
        return products | ({"reference": run.reference._asdict()} if run.reference else {})

    def _fail(self, error: Exception) -> None:
        trace = "".join(traceback.format_exception(error))
        (self.attempt.folder / "error.txt").write_text(trace)
        if self._limits.has_more_memory and is_out_of_memory(error):
            self.lacks_memory = True
            return
        self._finish(Outcome("failed", _reason(error), {}, [], [], self._started, time.time()))

    def _give_back(self) -> None:
        """Frees what a trial that lacks memory holds of it, once its error is dealt with."""
        if self.lacks_memory:
            with suppress(AttributeError):  # it may not have begun
                del self._run
            torch.cuda.empty_cache()

    def _finish(self, outcome: Outcome) -> None:
        self.attempt.finish(outcome)
        self.outcome = outcome


def _reason(error: Exception) -> str:
    """What a failure is told as: one line."""
    if isinstance(error, TrainingError):
        return str(error)
    told = next(iter(str(error).splitlines()), "")
    return (
        f"out of memory: {told}" if is_out_of_memory(error) else f"{type(error).__name__}: {told}"
    )


def bound_table(run: TrialRun, classes: tuple[str, ...]) -> pa.Table:
    """The listed pairs of every member's evaluation, with ``fold`` and ``class_name``."""
    names = pa.array(classes)
    tables = [
        evaluation.pairs.append_column("fold", pa.repeat(member, len(evaluation.pairs)))
        .append_column("class_name", names.take(evaluation.pairs["label"]))
        .drop_columns("label")
        for member, evaluation in enumerate(run.evaluations)
    ]
    return pa.concat_tables(tables)


@torch.no_grad()
def example(run: TrialRun, study: StudyData) -> dict[str, Tensor]:
    """A few groups of held-out points, one per class, and their embeddings by the first model."""
    rows = run.splits[0].held_out
    chosen = rows[_few_groups(study.points.labels[rows])]
    points = study.points.take(chosen.flatten()).unflatten(0, chosen.shape)
    model = run.models[0].eval()
    mask = torch.ones(chosen.shape, dtype=torch.bool, device=model.device)
    return {"points": points, "embeddings": model(points.to(model.device), mask).to(CPU)}


def _few_groups(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Places ``[groups, points]`` of a group of each class that has enough points, or the most."""
    order = np.argsort(labels, kind="stable")
    _, starts, counts = np.unique(labels[order], return_index=True, return_counts=True)
    size = min(EXAMPLE_POINTS, counts.max())
    first = starts[counts >= size][:EXAMPLE_GROUPS, None]
    places: NDArray[np.int64] = order[first + np.arange(size)]
    return places
