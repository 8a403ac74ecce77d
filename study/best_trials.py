"""The best trials of a study of one or two objectives, kept up as they come."""

from collections.abc import Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

Values = NDArray[np.float64]


@final
class BestTrials:
    """So many of the best of all complete trials that were added.

    Of one objective, of equal trials the earlier are better. Of two, those that fewer fronts of
    others surpass in both are better, and within a front those that lie further from others (Deb et
    al. 2002, A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II, sections III A and B).

    Args:
        directions: of the objectives.
        count: how many are kept.
    """

    def __init__(self, directions: Sequence[StudyDirection], count: int) -> None:
        self._signs = [-1.0 if way is StudyDirection.MAXIMIZE else 1.0 for way in directions]
        self._count = count
        self._losses: list[tuple[float, ...]] = []
        self.trials: list[FrozenTrial] = []

    def add(self, trial: FrozenTrial) -> None:
        """Adds a complete trial, and drops the worst where there are too many."""
        values = zip(self._signs, trial.values, strict=True)
        self._losses.append(tuple(sign * value for sign, value in values))
        self.trials.append(trial)
        if len(self.trials) > self._count:
            worst = self._worst()
            del self._losses[worst], self.trials[worst]

    def _worst(self) -> int:
        if len(self._signs) == 1:
            keys = [
                (loss, trial.number) for loss, trial in zip(self._losses, self.trials, strict=True)
            ]
            return max(range(len(keys)), key=keys.__getitem__)
        losses = np.nan_to_num(np.array(self._losses), posinf=1e300, neginf=-1e300)
        front = _last_front(losses)
        return int(front[_distances(losses[front]).argmin()])


def _last_front(losses: Values) -> NDArray[np.intp]:
    """Indices of the rows that are left when front after front of unsurpassed ones is taken off."""
    rest = np.arange(len(losses))
    while True:
        points = losses[rest]
        no_worse = (points[:, None] <= points).all(-1)
        surpassed = (no_worse & ~no_worse.T).any(0)
        if not surpassed.any():
            return rest
        rest = rest[surpassed]


def _distances(losses: Values) -> Values:
    """How far the neighbours of each row of a front lie apart; infinite at its ends."""
    distances = np.zeros(len(losses))
    for column in losses.T:
        order = column.argsort(kind="stable")
        span = column[order[-1]] - column[order[0]]
        distances[order[[0, -1]]] = np.inf
        if span > 0:
            distances[order[1:-1]] += (column[order[2:]] - column[order[:-2]]) / span
    return distances
