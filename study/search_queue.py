"""Trials of the search that are still to be handed out: proposed ones that wait, and the rest."""

from collections import deque
from collections.abc import Iterable, Mapping
from typing import final

from study.proposals import Proposals
from study.record import Record, Trial


@final
class SearchQueue:
    """Hands out trials of the combination that is furthest behind.

    Args:
        record: of the study.
        proposals: one per combination, by label.
        unfinished: trials that an earlier driver left; they come first.
    """

    def __init__(
        self, record: Record, proposals: Mapping[str, Proposals], unfinished: Iterable[Trial]
    ) -> None:
        self._record, self._proposals, self._budget = record, proposals, record.config.budget
        self._waiting: dict[str, deque[Trial]] = {label: deque() for label in proposals}
        for trial in unfinished:
            self._waiting[trial.combination].append(trial)

    @property
    def missing(self) -> int:
        """Trials that are still to be handed out."""
        return sum(map(self._missing, self._proposals))

    def next(self, size: int) -> list[Trial]:
        """Trials of one combination for a new pack; none where all are handed out."""
        label = self._furthest_behind()
        trials: list[Trial] = []
        for _ in range(min(size, self._missing(label))):
            if not self._waiting[label]:
                self._propose(label, trials)
            trials.append(self._waiting[label].popleft())
        return trials

    def ask_ahead(self) -> None:
        """Proposes one trial more, so that a process that will soon have none need not wait.

        Called once for every trial that came to its end, this leaves the search as well informed as
        if each trial were followed by another at once.
        """
        label = self._furthest_behind()
        waiting = self._waiting[label]
        if len(waiting) < min(self._budget.pack, self._missing(label)):
            self._propose(label, waiting)

    def _missing(self, label: str) -> int:
        budget, proposals = self._budget.trials_per_combination, self._proposals[label]
        return len(self._waiting[label]) + budget - proposals.asked

    def _furthest_behind(self) -> str:
        return max(self._proposals, key=self._missing)

    def _propose(self, label: str, beside: Iterable[Trial]) -> None:
        """Proposes a trial, like those beside it where the trials of a pack shall be alike."""
        like = next(iter(beside), None) if self._budget.alike else None
        trial = self._proposals[label].ask(like)
        self._record.plan(trial)
        self._waiting[label].append(trial)
