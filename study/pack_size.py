"""How many trials the next pack gets."""

import time
from collections.abc import Mapping, Sequence
from math import ceil
from statistics import fmean
from typing import final

from study.config import BudgetSection
from study.record import Trial
from trainables.configuration import Configuration

NEGLIGIBLE = 0.1
"""Of a trial: a little that running packs still have to do is no reason for one trial more."""
LEFT_OVER = 0.1
"""Of a process's share: is left for those that are faster, or have the machine to themselves."""


@final
class PackSizes:
    """Shares out what is left of a search, so that all processes end at about the same time.

    How much running packs still have to do is told by the clock, from how long packs of the same
    combination took before. Trials that are stepped as one cost little more than one of them: what
    is left goes to as few packs as there are processes. Where none are, a part is kept for later,
    and packs become ever smaller.

    Args:
        budget: of the study.
        concurrent: packs at once.
    """

    def __init__(self, budget: BudgetSection, concurrent: int) -> None:
        self._most, self._concurrent = budget.pack, concurrent
        is_evened_out = concurrent > 1 and budget.stacked == "never"
        self._given = 1 - LEFT_OVER if is_evened_out else 1.0
        self._work: dict[str, tuple[str, float]] = {}
        self._began: dict[str, float] = {}
        self._rates: dict[str, float] = {}

    def handed_out(self, pack: str, trials: Sequence[Trial]) -> None:
        """Takes in what a pack has to do."""
        self._work[pack] = trials[0].combination, sum(map(_work, trials))

    def reported(self, pack: str, seconds: float) -> None:
        """Takes in how long a pack has been at work."""
        self._began[pack] = time.monotonic() - seconds

    def ended(self, pack: str, *, is_whole: bool) -> None:
        """Takes in that a pack is over, and whether all its trials came to their ends."""
        (label, work), began = self._work.pop(pack), self._began.pop(pack, None)
        if is_whole and began is not None:
            self._rates[label] = (time.monotonic() - began) / work

    def next(self, missing: int, packs: Mapping[str, Mapping[str, Trial]]) -> int:
        """Trials for a process that has none.

        Args:
            missing: trials that are still to be handed out.
            packs: trials that have not ended of the other processes, by pack and key.
        """
        running = sum(self._left(pack, list(trials.values())) for pack, trials in packs.items())
        share = self._given * (missing + running) / self._concurrent
        return min(self._most, ceil(share - NEGLIGIBLE))

    def _left(self, pack: str, trials: Sequence[Trial]) -> float:
        """How many whole trials a pack still has to do."""
        if not (trials and self._rates and pack in self._began):
            return len(trials)
        label, work = self._work[pack]
        rate = self._rates.get(label, fmean(self._rates.values()))
        left = max(0.0, work - (time.monotonic() - self._began[pack]) / rate)
        return min(len(trials), left / fmean(map(_work, trials)))


def _work(trial: Trial) -> float:
    """Epochs of all members; what is not trained is judged all the same."""
    epochs = Configuration.from_nested(trial.configuration).training.epochs
    return float(max(1, epochs) * len(trial.seeds))
