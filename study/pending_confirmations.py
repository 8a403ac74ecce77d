"""What is still to be read on the test points while a study runs."""

from collections import deque
from collections.abc import Iterable
from typing import final

from study import confirmation
from study.proposals import Proposals
from study.record import Record, Trial


@final
class PendingConfirmations:
    """Plans what is read on the test of every combination once its search has ended.

    Args:
        record: of the study.
        proposals: one per combination.
    """

    def __init__(self, record: Record, proposals: Iterable[Proposals]) -> None:
        self._record = record
        self._searched = {proposal.label: proposal for proposal in proposals}
        self.waiting: deque[Trial] = deque()

    @property
    def is_searching(self) -> bool:
        """Whether the search of a combination has not ended."""
        return bool(self._searched)

    @property
    def will_come(self) -> bool:
        """Whether there will be trials when a search has ended."""
        return self.is_searching and self._record.config.protocol.confirmation.top > 0

    def plan(self) -> None:
        """Adds the trials of combinations whose search has ended since the last call."""
        config = self._record.config
        for label, proposal in sorted(self._searched.items()):
            if proposal.running or proposal.asked < config.budget.trials_per_combination:
                continue
            del self._searched[label]
            results = [r for r in self._record.results() if r.trial.combination == label]
            planned = confirmation.plan(config, results)
            if not self._searched:
                planned += confirmation.raw(config)
            for trial in planned:
                if not self._record.result(trial.key):
                    # One that an earlier driver planned goes on with the seed it began with.
                    known = self._record.trial(trial.key) or trial
                    self._record.plan(known)
                    self.waiting.append(known)
