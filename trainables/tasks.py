"""What a trial is given: the points and their division, how it is judged, and what to train."""

from dataclasses import dataclass
from typing import Any, Literal, final

from trainables.data import PointSet
from trainables.evaluation import Protocol
from trainables.group_aware import GroupAware
from trainables.splits import Split, require_apart

Phase = Literal["search", "confirmation", "ensemble", "untrained"]
"""Configurations are searched for on the folds. On the test points the best are confirmed, trained
on all other points; the models of their folds are read as an ensemble; and untrained ones."""

PREFIXES: dict[Phase, str] = {
    "search": "val",
    "confirmation": "test",
    "ensemble": "test",
    "untrained": "test",
}
EXHIBITED: tuple[Phase, ...] = ("confirmation", "untrained")
"""Of which there is one model to see."""


@final
@dataclass(frozen=True)
class StudyData:
    """The points of a study and how they are divided; shared by all trials, read-only.

    Args:
        points: all points; ``groups`` only where groups are drawn inside natural ones.
        folds: training and validation rows of the search phase.
        final: training and test rows of the confirmation phase.

    Raises:
        LeakError: if a fold holds rows of the test, which are locked until the confirmation.
    """

    points: PointSet
    folds: tuple[Split, ...]
    final: Split

    def __post_init__(self) -> None:
        for fold in self.folds:
            for rows in (fold.train, fold.held_out):
                require_apart("points", rows, self.final.held_out)

    def splits(self, phase: Phase) -> tuple[Split, ...]:
        """The splits of a trial of this phase; no trial of the search sees the test rows."""
        if phase == "search":
            return self.folds
        return (self.final,) * (len(self.folds) if phase == "ensemble" else 1)


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
    """A trial to run.

    Args:
        key: names it.
        phase: of the study.
        configuration: what to train, as ``Configuration.nested``.
        seeds: one for each member.
        weights: file of an ensemble's models, below the folder of all trials; else empty.
    """

    key: str
    phase: Phase
    configuration: dict[str, Any]
    seeds: tuple[int, ...]
    weights: str = ""
