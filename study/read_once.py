"""Optuna's TPE, which reads the values of a trial once and not for every proposal."""

from collections.abc import Sequence
from typing import Any, final

import numpy as np
from optuna import Study as OptunaStudy
from optuna.distributions import BaseDistribution
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, TrialState

ReadValues = dict[tuple[str, ...], dict[tuple[int, TrialState], Sequence[float]]]
"""By parameters, and a trial's number and state: its values of these, none if it lacks one.

What was proposed counts while a trial runs, and what it had when it has ended.
"""


@final
class ReadOnceTPE(TPESampler):
    """TPE that proposes what Optuna's does.

    Args:
        read: what earlier proposals have read of all trials but the one that was being proposed.
        options: those of Optuna's.
    """

    def __init__(self, read: ReadValues, **options: Any) -> None:
        super().__init__(**options)
        self._read = read

    def _get_internal_repr(
        self,
        trials: list[FrozenTrial],
        search_space: dict[str, BaseDistribution],
        study: OptunaStudy,
    ) -> dict[str, np.ndarray]:
        read = self._read.setdefault(tuple(search_space), {})
        rows = []
        for trial in trials:
            key = trial.number, trial.state
            if key not in read:
                values = super()._get_internal_repr([trial], search_space, study).values()
                read[key] = [float(value) for own in values for value in own]
            if row := read[key]:
                rows.append(row)
        table = np.array(rows, dtype=float).reshape(-1, len(search_space))
        return dict(zip(search_space, table.T, strict=True))
