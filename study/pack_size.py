"""How many trials the next pack gets."""

from collections.abc import Mapping
from math import ceil
from typing import final

from study.config import StudyConfig
from study.record import Trial
from trainables.configuration import Configuration


@final
class PackSizes:
    """Shares out what is left of a search, so that all processes end at about the same time.

    Trials that are stepped as one cost little more than one of them: what is left goes to as few
    packs as there are processes, and not to ever smaller ones.

    Args:
        config: of the study.
        concurrent: packs at once.
    """

    def __init__(self, config: StudyConfig, concurrent: int) -> None:
        self._most, self._concurrent = config.budget.pack, concurrent
        self._report_every = config.algorithm.report_every
        self._epochs: dict[str, int] = {}

    def reported(self, pack: str, epoch: int) -> None:
        """Takes in how far the first of a pack is: all are trained up to its last validation."""
        last = (epoch - 1) // self._report_every * self._report_every
        self._epochs[pack] = max(last, self._epochs.get(pack, 0))

    def next(self, missing: int, packs: Mapping[str, Mapping[str, Trial]]) -> int:
        """Trials for a process that has none.

        Args:
            missing: trials that are still to be handed out.
            packs: trials that the other processes have, by pack and key.
        """
        running = sum(
            1 - self._epochs.get(pack, 0) / _epochs(trial)
            for pack, trials in packs.items()
            for trial in trials.values()
        )
        return min(self._most, ceil((missing + running) / self._concurrent))


def _epochs(trial: Trial) -> int:
    return Configuration.from_nested(trial.configuration).training.epochs
