"""How many trials the next pack gets."""

from collections.abc import Iterable, Mapping
from math import ceil
from typing import final

from study.record import Trial
from trainables.configuration import Configuration


@final
class PackSizes:
    """Shares out what is left of a search, so that all processes end at about the same time.

    Trials that are stepped as one cost little more than one of them: what is left goes to as few
    packs as there are processes, and not to ever smaller ones.

    Args:
        most: trials of a pack.
        concurrent: packs at once.
    """

    def __init__(self, most: int, concurrent: int) -> None:
        self._most, self._concurrent = most, concurrent
        self._epochs: dict[str, float] = {}

    def reported(self, trial: Trial, epoch: float) -> None:
        """Takes in how far a trial is."""
        self._epochs[trial.key] = epoch

    def next(self, missing: int, packs: Iterable[Mapping[str, Trial]]) -> int:
        """Trials for a process that has none.

        Args:
            missing: trials that are still to be handed out.
            packs: what is left to the other processes, by key.
        """
        left = missing + sum(self._left(trial) for pack in packs for trial in pack.values())
        return min(self._most, ceil(left / self._concurrent))

    def _left(self, trial: Trial) -> float:
        """The part of a trial that is still to be trained."""
        epochs = Configuration.from_nested(trial.configuration).training.epochs
        return 1 - self._epochs.get(trial.key, 0.0) / epochs
