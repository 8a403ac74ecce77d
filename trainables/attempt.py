"""What one attempt at a trial leaves behind: checkpoint, weights, bound table, outcome.

A trial's folder holds ``attempt-1``, ``attempt-2``, ...; a worker claims the next number before it
writes, so the late writes of a lost worker can never be taken for those of its successor, who also
makes it cease to write what others rely on.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, Literal, final

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import save
from torch import Tensor

from trainables import places
from trainables.places import Place

State = Literal["complete", "pruned", "failed"]


@final
@dataclass(frozen=True)
class Outcome:
    """How a trial ended.

    Args:
        state: complete only after every epoch of every member.
        reason: why it failed or was pruned, else empty.
        metrics: final metrics by full name, mean over the trial's members.
        member_metrics: the same for each member.
        history: ``{"epoch", "time", "metrics"}`` of every validation; time in Unix seconds.
        started, ended: Unix seconds.
        execution: what the figures depend on besides the configuration: threads, dtype, versions.
    """

    state: State
    reason: str
    metrics: dict[str, float]
    member_metrics: list[dict[str, float]]
    history: list[dict[str, Any]]
    started: float
    ended: float
    execution: dict[str, Any] = field(default_factory=dict)


@final
@dataclass(frozen=True)
class Attempt:
    """One numbered attempt at the trial that ``trial_folder`` belongs to."""

    trial_folder: Place
    number: int

    @classmethod
    def claim(cls, trial_folder: Place) -> "Attempt":
        """Takes the next free number; no two processes ever get the same."""
        places.make(trial_folder)
        attempt = cls(trial_folder, 1 + max(numbers(trial_folder), default=0))
        while not places.claim(attempt.folder):
            attempt = cls(trial_folder, attempt.number + 1)
        return attempt

    @classmethod
    def finished(cls, trial_folder: Place) -> "tuple[Attempt, Outcome] | None":
        """The newest attempt that came to its end, and how it ended; or None."""
        for number in sorted(numbers(trial_folder), reverse=True):
            attempt = cls(trial_folder, number)
            if outcome := attempt.outcome():
                return attempt, outcome
        return None

    @property
    def folder(self) -> Place:
        """Where this attempt writes."""
        return self.trial_folder / f"attempt-{self.number}"

    @property
    def checkpoint_path(self) -> Place:
        """Where this attempt keeps its newest checkpoint."""
        return self.folder / "checkpoint.pt"

    def checkpoint(self) -> dict[str, Any] | None:
        """The newest checkpoint of any attempt so far, or None; tensors and plain values only."""
        for number in sorted(numbers(self.trial_folder), reverse=True):
            path = Attempt(self.trial_folder, number).checkpoint_path
            if number <= self.number and path.exists():
                state: dict[str, Any] = torch.load(
                    places.readable(path), map_location="cpu", weights_only=True
                )
                return state
        return None

    @property
    def is_stale(self) -> bool:
        """Whether a newer attempt has been claimed: this one was given up."""
        return places.is_claimed(Attempt(self.trial_folder, self.number + 1).folder)

    def save_checkpoint(self, state: dict[str, Any]) -> None:
        """Replaces this attempt's checkpoint and all older ones; nothing if it is stale."""
        if self.is_stale:
            return
        content = BytesIO()
        torch.save(state, content)
        places.replace(self.checkpoint_path, content.getvalue(), is_durable=False)
        self._remove_checkpoints(self.number - 1)

    def save(self, name: str, content: Mapping[str, Tensor] | pa.Table) -> None:
        """Writes tensors to ``name.safetensors``, or a table to ``name.parquet``."""
        if isinstance(content, pa.Table):
            table = BytesIO()
            # Measured values hardly repeat: a dictionary of them takes longer and more space.
            repeated = [f.name for f in content.schema if not pa.types.is_floating(f.type)]
            pq.write_table(content, table, use_dictionary=repeated)
            (self.folder / f"{name}.parquet").write_bytes(table.getvalue())
        else:
            tensors = {key: tensor.contiguous() for key, tensor in content.items()}
            (self.folder / f"{name}.safetensors").write_bytes(save(tensors))

    def outcome(self) -> Outcome | None:
        """How this attempt ended, or None."""
        try:
            return Outcome(**json.loads((self.folder / "outcome.json").read_text()))
        except (FileNotFoundError, ValueError):
            return None

    def finish(self, outcome: Outcome) -> None:
        """Writes the outcome, last of all: where it exists, everything else is complete.

        Does nothing if this attempt is stale.
        """
        if self.is_stale:
            return
        text = json.dumps(vars(outcome))
        places.replace(self.folder / "outcome.json", text.encode(), is_durable=False)
        self._remove_checkpoints(self.number)

    def _remove_checkpoints(self, newest: int) -> None:
        for number in range(1, newest + 1):
            places.remove(Attempt(self.trial_folder, number).checkpoint_path)


def numbers(trial_folder: Place) -> list[int]:
    """Numbers of the attempts that a trial's folder holds."""
    return [int(folder.name.removeprefix("attempt-")) for folder in trial_folder.glob("attempt-*")]
