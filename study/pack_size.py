"""How many trials the next pack gets."""

import time
from collections.abc import Collection, Mapping
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

    How much a running pack still has to do is told by the clock, from what it has reported so far.
    Trials that are stepped as one cost little more than one of them: what is left goes to as few
    packs as there are processes. Where none are, a part is kept for later, and packs become ever
    smaller.

    Args:
        budget: of the study.
        concurrent: packs at once.
    """

    def __init__(self, budget: BudgetSection, concurrent: int) -> None:
        self._most, self._concurrent = budget.pack, concurrent
        is_evened_out = concurrent > 1 and budget.stacked == "never"
        self._given = 1 - LEFT_OVER if is_evened_out else 1.0
        self._packs: dict[str, _Progress] = {}

    def handed_out(self, pack: str, trials: Collection[Trial]) -> None:
        """Takes in what a pack has to do."""
        self._packs[pack] = _Progress(trials)

    def reported(
        self, pack: str, members: Mapping[str, Mapping[str, float]], seconds: float
    ) -> None:
        """Takes in how far a pack has come, and how long it has been at work."""
        self._packs[pack].report(members, seconds)

    def ended(self, pack: str) -> None:
        """Takes in that a pack is over."""
        del self._packs[pack]

    def next(self, missing: int, packs: Mapping[str, Mapping[str, Trial]]) -> int:
        """Trials for a process that has none.

        Args:
            missing: trials that are still to be handed out.
            packs: trials that have not ended of the other processes, by pack.
        """
        running = sum(min(len(trials), self._packs[pack].left()) for pack, trials in packs.items())
        share = self._given * (missing + running) / self._concurrent
        return min(self._most, ceil(share - NEGLIGIBLE))


@final
class _Progress:
    """What a pack has done, in epochs of members; what is not trained is judged all the same."""

    def __init__(self, trials: Collection[Trial]) -> None:
        self._members = {trial.key: len(trial.seeds) for trial in trials}
        self._work = {trial.key: max(1, _epochs(trial)) * len(trial.seeds) for trial in trials}
        self._done: dict[str, float] = {}
        self._seconds, self._began = 0.0, 0.0

    def report(self, members: Mapping[str, Mapping[str, float]], seconds: float) -> None:
        self._seconds, self._began = seconds, time.monotonic() - seconds
        for key, member in members.items():
            trained = member["epoch"] * self._members[key]
            self._done[key] = self._work[key] if member["is_finished"] else trained

    def left(self) -> float:
        """What it has not done by now, at its pace so far, as a number of its trials."""
        work, done = self._work.values(), sum(self._done.values())
        if done:
            done *= (time.monotonic() - self._began) / self._seconds
        return max(0.0, sum(work) - done) / fmean(work)


def _epochs(trial: Trial) -> int:
    return Configuration.from_nested(trial.configuration).training.epochs
