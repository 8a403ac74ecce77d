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

BEST, LATEST = 50, 150


@final
class RecentHistory:
    """The trials of a study of one objective that a sampler looks at, kept up to date.

    Args:
        study: whose trials nobody else adds to or ends.
    """

    def __init__(self, study: OptunaStudy) -> None:
        self._study, self._view = study, _View(study)
        self._newest: Trial | None = None

    def ask(self, sampler: BaseSampler) -> Trial:
        """A new trial, proposed by a sampler that sees no other trials."""
        if self._newest:  # its values were proposed after it was made
            self._view.change(self._newest)
        self._study.sampler = _Looking(sampler, self._view)
        self._newest = self._new()
        return self._newest

    def ended(self, trial: Trial) -> None:
        """Has the next proposal take in how a trial ended, of which the study was told."""
        self._view.change(trial)

    def _new(self) -> Trial:
        if self._view.waiting:
            trial = self._study.ask()
            self._view.waiting.discard(trial.number)
            return trial
        # The study itself would look through all its trials for one that waits.
        identity = self._study._storage.create_new_trial(self._study._study_id)
        return Trial(self._study, identity)


@final
class _View(OptunaStudy):
    """A study with fewer trials, as Optuna's Hyperband makes them of its brackets.

    A trial is read when it is new and when it has changed: each time is a question to the storage,
    and a cluster runs thousands.
    """

    def __init__(self, study: OptunaStudy) -> None:
        super().__init__(study.study_name, study._storage, study.sampler, study.pruner)
        self._sign = 1.0 if study.direction is StudyDirection.MAXIMIZE else -1.0
        self._every: list[FrozenTrial] = []
        self._best: list[tuple[float, int]] = []
        for trial in self._storage.get_all_trials(self._study_id, deepcopy=False):
            self._take_in(trial)
        self.waiting = {t.number for t in self._every if t.state is TrialState.WAITING}
        # What a lost driver had only begun to propose is completed before the next proposal.
        self._changed = {t.number for t in self._every if not t.state.is_finished()}

    def change(self, trial: Trial) -> None:
        """Has a trial read once more."""
        self._changed.add(trial.number)

    def read(self, count: int) -> None:
        """Takes in what has become of the first trials, so many of them."""
        storage, study = self._storage, self._study_id
        # New ones in the order of their numbers, for each is put behind those that are known.
        for number in sorted(self._changed.union(range(len(self._every), count))):
            identity = storage.get_trial_id_from_study_id_trial_number(study, number)
            self._take_in(storage.get_trial(identity))
        self._changed.clear()

    def _take_in(self, trial: FrozenTrial) -> None:
        self._every[trial.number : trial.number + 1] = [trial]
        if trial.state is TrialState.COMPLETE and trial.value is not None:
            heapq.heappush(self._best, (self._sign * trial.value, trial.number))
            if len(self._best) > BEST:
                heapq.heappop(self._best)

    def _get_trials(
        self,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
        use_cache: bool = False,
    ) -> list[FrozenTrial]:
        edge = max(0, len(self._every) - LATEST)
        best = sorted(number for _, number in self._best if number < edge)
        chosen = [self._every[number] for number in best] + self._every[edge:]
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
