"""Which trials of a long history are looked at, chosen as they come."""

from bisect import insort
from collections.abc import Iterable, Sequence
from heapq import nlargest
from operator import attrgetter
from typing import NamedTuple, final

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from study.best_trials import BestTrials

BEST, LATEST = 25, 75
"""How many TPE and GP see: the best, the latest of those that ended, the latest that run."""

SPREAD = 400
"""Of how many that ended a pruner sees all; of more it sees half to all as many."""

ENDED = (TrialState.COMPLETE, TrialState.PRUNED)

_number = attrgetter("number")


class Sight(NamedTuple):
    """How much of a history a sampler sees.

    Attributes:
        best: how many of the best.
        latest: how many of the latest that ended, and of the latest that run.
        by_generation: whether it proposes from one generation of complete trials to the next. It
            sees the latest of these, as many more as run: all may belong to one generation.
    """

    best: int = BEST
    latest: int = LATEST
    by_generation: bool = False


@final
class ChosenTrials:
    """The trials that are looked at; ``ended`` counts all that could be.

    Args:
        directions: of the study's objectives.
        sight: how much the sampler sees.
    """

    def __init__(self, directions: Sequence[StudyDirection], sight: Sight) -> None:
        self._sight, self._best = sight, BestTrials(directions, sight.best)
        self._latest: list[FrozenTrial] = []
        self._running: dict[int, FrozenTrial] = {}
        self._kinds: dict[tuple[TrialState, frozenset[str]], FrozenTrial] = {}
        self._spread: list[FrozenTrial] = []
        self._stride = 1
        self.ended = 0

    def take_in(self, trial: FrozenTrial) -> None:
        """Takes in a trial that runs, whenever it has changed, and once more when it has ended."""
        self._running.pop(trial.number, None)
        if trial.state is TrialState.RUNNING:
            self._running[trial.number] = trial
            self._take_in_kind(trial)
        elif trial.state in ENDED:
            self.ended += 1
            self._take_in_kind(trial)
            self._take_in_spread(trial)
            if trial.state is TrialState.COMPLETE:
                self._best.add(trial)
            if trial.state is TrialState.COMPLETE or not self._sight.by_generation:
                self._take_in_latest(trial)

    def _take_in_kind(self, trial: FrozenTrial) -> None:
        kind = trial.state, frozenset(trial.distributions)
        self._kinds[kind] = min(self._kinds.get(kind, trial), trial, key=_number)

    def _take_in_spread(self, trial: FrozenTrial) -> None:
        if trial.number % self._stride == 0:
            self._spread.append(trial)
        while len(self._spread) > SPREAD:
            self._stride *= 2
            self._spread = [one for one in self._spread if one.number % self._stride == 0]

    def _take_in_latest(self, trial: FrozenTrial) -> None:
        insort(self._latest, trial, key=_number)
        more = len(self._running) if self._sight.by_generation else 0
        del self._latest[: -self._sight.latest - more]

    def for_sampler(self) -> list[FrozenTrial]:
        """The best, the latest and what runs."""
        running = [self._running[key] for key in nlargest(self._sight.latest, self._running)]
        return _in_order([*self._best.trials, *self._latest, *running])

    def for_pruner(self) -> list[FrozenTrial]:
        """Some of those that ended, spread evenly over the history, and what runs."""
        return [*self._spread, *self._running.values()]

    def kinds(self) -> list[FrozenTrial]:
        """The first of each state and set of parameters."""
        return _in_order(self._kinds.values())


def _in_order(trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
    """In the order of their numbers, each once."""
    return sorted({trial.number: trial for trial in trials}.values(), key=_number)
