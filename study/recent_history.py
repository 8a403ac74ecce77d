"""What a sampler looks at: of a long history the best trials and the latest ones.

A proposal of TPE takes time with every trial it looks at, and soon more than a short trial takes to
train. Its model of good configurations is made of 25 trials at most (Optuna's ``default_gamma``);
older ones that were not among the best only say where not to look, as hundreds of others do.
"""

import heapq
from collections.abc import Container
from typing import Any, final

from optuna import Study as OptunaStudy
from optuna import Trial
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
        self._study = study
        self._view = _View(study, self)
        self._seen, self._best = 0, list[tuple[float, int]]()
        directions = study.directions
        self._sign = {StudyDirection.MAXIMIZE: 1.0, StudyDirection.MINIMIZE: -1.0}[directions[0]]
        self._is_limited = len(directions) == 1

    def ask(self, sampler: BaseSampler) -> Trial:
        """A new trial, proposed by a sampler that sees no other trials."""
        self._study.sampler = _Looking(sampler, self._view) if self._is_limited else sampler
        if not self._is_limited or self._view.is_any_waiting:
            return self._study.ask()
        # The study itself would look through all its trials for one that waits.
        identity = self._study._storage.create_new_trial(self._study._study_id)
        return Trial(self._study, identity)

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
    """A study with fewer trials, as Optuna's Hyperband makes them of its brackets.

    Those that have ended are read once, for reading takes time with every trial there is.
    """

    def __init__(self, study: OptunaStudy, history: RecentHistory) -> None:
        super().__init__(study.study_name, study._storage, study.sampler, study.pruner)
        self._history = history
        self._every = self._storage.get_all_trials(self._study_id, deepcopy=False)
        self._open = [trial for trial in self._every if not trial.state.is_finished()]

    @property
    def is_any_waiting(self) -> bool:
        """Whether there are trials that have been put in and wait to be asked for."""
        return any(trial.state is TrialState.WAITING for trial in self._open)

    def read(self, count: int) -> None:
        """Takes in what has become of the first trials, so many of them."""
        storage, study = self._storage, self._study_id
        numbers = range(len(self._every), count)
        new = [storage.get_trial_id_from_study_id_trial_number(study, n) for n in numbers]
        known = [trial._trial_id for trial in self._open]
        changed = [storage.get_trial(identity) for identity in known + new]
        self._every += changed[len(known) :]
        for trial in changed:
            self._every[trial.number] = trial
        self._open = [trial for trial in changed if not trial.state.is_finished()]

    def _get_trials(
        self,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
        use_cache: bool = False,
    ) -> list[FrozenTrial]:
        chosen = self._history.chosen(self._every)
        return [trial for trial in chosen if states is None or trial.state in states]


@final
class _Looking(BaseSampler):
    """Lets a sampler look at a view of the study."""

    def __init__(self, sampler: BaseSampler, view: _View) -> None:
        self._sampler, self._view = sampler, view

    def infer_relative_search_space(
        self, study: OptunaStudy, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        # This is the first that a proposal needs.
        self._view.read(trial.number)
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
