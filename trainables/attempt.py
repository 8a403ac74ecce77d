"""What one attempt at a trial leaves behind: checkpoint, weights, bound table, outcome.

A trial's folder holds ``attempt-1``, ``attempt-2``, ...; a worker claims the next number before it
writes, so the late writes of a lost worker can never be taken for those of its successor.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, final

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import save_file
from torch import Tensor

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

    trial_folder: Path
    number: int

    @classmethod
    def claim(cls, trial_folder: Path) -> "Attempt":
        """Takes the next free number; no two processes ever get the same."""
        trial_folder.mkdir(parents=True, exist_ok=True)
        number = 1 + max(numbers(trial_folder), default=0)
        while True:
            try:
                (trial_folder / f"attempt-{number}").mkdir()
            except FileExistsError:
                number += 1
            else:
                return cls(trial_folder, number)

    @classmethod
    def finished(cls, trial_folder: Path) -> "Attempt | None":
        """The newest attempt that came to its end, or None."""
        attempts = (cls(trial_folder, number) for number in sorted(numbers(trial_folder))[::-1])
        return next((attempt for attempt in attempts if attempt.outcome()), None)

    @property
    def folder(self) -> Path:
        """Where this attempt writes."""
        return self.trial_folder / f"attempt-{self.number}"

    @property
    def checkpoint_path(self) -> Path:
        """Where this attempt keeps its newest checkpoint."""
        return self.folder / "checkpoint.pt"

    def checkpoint(self) -> dict[str, Any] | None:
        """The newest checkpoint of any attempt so far, or None; tensors and plain values only."""
        for number in sorted(numbers(self.trial_folder), reverse=True):
            path = Attempt(self.trial_folder, number).checkpoint_path
            if number <= self.number and path.exists():
                state: dict[str, Any] = torch.load(path, weights_only=True)
                return state
        return None

    def save_checkpoint(self, state: dict[str, Any]) -> None:
        """Replaces this attempt's checkpoint."""
        unfinished = self.folder / "checkpoint.tmp"
        torch.save(state, unfinished)
        unfinished.replace(self.checkpoint_path)

    def save(self, name: str, content: Mapping[str, Tensor] | pa.Table) -> None:
        """Writes tensors to ``name.safetensors``, or a table to ``name.parquet``."""
        if isinstance(content, pa.Table):
            pq.write_table(content, self.folder / f"{name}.parquet", compression="zstd")
        else:
            tensors = {key: tensor.contiguous() for key, tensor in content.items()}
            save_file(tensors, self.folder / f"{name}.safetensors")

    def outcome(self) -> Outcome | None:
        """How this attempt ended, or None."""
        try:
            return Outcome(**json.loads((self.folder / "outcome.json").read_text()))
        except (OSError, ValueError):
            return None

    def finish(self, outcome: Outcome) -> None:
        """Writes the outcome, last of all: where it exists, everything else is complete."""
        unfinished = self.folder / "outcome.tmp"
        unfinished.write_text(json.dumps(asdict(outcome)))
        unfinished.replace(self.folder / "outcome.json")
        for number in range(1, self.number + 1):
            Attempt(self.trial_folder, number).checkpoint_path.unlink(missing_ok=True)


def numbers(trial_folder: Path) -> list[int]:
    """Numbers of the attempts that a trial's folder holds."""
    return [int(folder.name.removeprefix("attempt-")) for folder in trial_folder.glob("attempt-*")]
