"""What a sampler looks at: of a long history the best trials and the latest ones.

A proposal of TPE takes time with every trial it looks at, and soon more than a short trial takes to
train. Its model of good configurations is made of 25 trials at most (Optuna's ``default_gamma``);
older ones that were not among the best only say where not to look, as hundreds of others do.
"""

import heapq
from collections.abc import Container
from typing import Any, final

from optuna import Study as OptunaStudy
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

BEST, LATEST = 50, 200


@final
class RecentHistory:
    """The trials of a study of one objective that a sampler looks at, kept up to date.

    Args:
        study: whose trials are only ever added to, in the order of their numbers.
    """

    def __init__(self, study: OptunaStudy) -> None:
        self._view = _View(study, self)
        self._seen, self._best = 0, list[tuple[float, int]]()
        directions = study.directions
        self._sign = {StudyDirection.MAXIMIZE: 1.0, StudyDirection.MINIMIZE: -1.0}[directions[0]]
        self._is_limited = len(directions) == 1

    def sampler(self, sampler: BaseSampler) -> BaseSampler:
        """A sampler that sees no other trials."""
        return _Looking(sampler, self._view) if self._is_limited else sampler

    def chosen(self, trials: list[FrozenTrial]) -> list[FrozenTrial]:
        """The best of the older trials, and the latest, by number."""
        edge = max(0, len(trials) - LATEST)
        for trial in trials[self._seen : edge]:
            if trial.state is TrialState.COMPLETE and trial.value is not None:
                heapq.heappush(self._best, (self._sign * trial.value, trial.number))
                if len(self._best) > BEST:
                    heapq.heappop(self._best)
        self._seen = max(self._seen, edge)
        best = sorted(number for _, number in self._best)
        return [trials[number] for number in best] + trials[edge:]


@final
class _View(OptunaStudy):
    """A study with fewer trials, as Optuna's Hyperband makes them of its brackets."""

    def __init__(self, study: OptunaStudy, history: RecentHistory) -> None:
        super().__init__(study.study_name, study._storage, study.sampler, study.pruner)
        self._history = history

    def _get_trials(
        self,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
        use_cache: bool = False,
    ) -> list[FrozenTrial]:
        every = self._storage.get_all_trials(self._study_id, deepcopy=False)
        return [t for t in self._history.chosen(every) if states is None or t.state in states]


@final
class _Looking(BaseSampler):
    """Lets a sampler look at a view of the study."""

    def __init__(self, sampler: BaseSampler, view: OptunaStudy) -> None:
        self._sampler, self._view = sampler, view

    def infer_relative_search_space(
        self, study: OptunaStudy, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return self._sampler.infer_relative_search_space(self._view, trial)

    def sample_relative(
        self, study: OptunaStudy, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._sampler.sample_relative(self._view, trial, search_space)

    def sample_independent(
        self,
        study: OptunaStudy,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        return self._sampler.sample_independent(self._view, trial, param_name, param_distribution)
