"""What a sampler looks at: of a long history the best trials, the latest ones, and what runs.

A proposal of TPE takes time with every trial it looks at, and soon more than a short trial takes to
train. The trials it finds good, 25 at most, are always among those shown here. Of the others, which
only say where not to look, it sees the latest; ``benchmarks/search_history.py`` shows what this
saves and costs.
"""

import math
from bisect import insort
from collections.abc import Callable, Container
from heapq import heappop, heappush, nlargest
from operator import attrgetter
from typing import Any, final

from optuna import Study as OptunaStudy
from optuna import Trial
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

BEST, LATEST = 25, 75
"""How many are shown: the best, the latest of those that ended, the latest of those that run."""


@final
class RecentHistory:
    """The trials of a study of one objective that a sampler looks at, kept up to date.

    A trial is read when it is new and when it has changed: each time is a question to the storage,
    and a cluster runs thousands.

    Args:
        study: whose trials nobody else adds to or ends.
    """

    def __init__(self, study: OptunaStudy) -> None:
        self._study, self._chosen = study, _Chosen(study.direction)
        self._shown, self._kinds = _Shown(study), _Shown(study)
        self._newest: Trial | None = None
        every = study.get_trials(deepcopy=False)
        for trial in every:
            self._chosen.take_in(trial)
        self._known = len(every)
        self._waiting = {t.number for t in every if t.state is TrialState.WAITING}
        # What a lost driver had only begun to propose is completed before the next proposal.
        self._changed = {t.number for t in every if not t.state.is_finished()}

    def good(self, shown: int) -> int:
        """Of how many trials TPE makes its model of good ones: of as many as if it saw all.

        That is Optuna's tenth, of 25 at most (Watanabe 2023, Tree-Structured Parzen Estimator).

        Args:
            shown: how many that ended it is shown, by which Optuna would decide.
        """
        return min(BEST, math.ceil(0.1 * self._chosen.ended))

    def ask(self, sampler: BaseSampler) -> Trial:
        """A new trial, proposed by a sampler that sees no other trials."""
        if self._newest:  # its values were proposed after it was made
            self._changed.add(self._newest.number)
        self._study.sampler = _Looking(sampler, self._shown, self._kinds, self._read)
        self._newest = self._new()
        return self._newest

    def ended(self, trial: Trial) -> None:
        """Has the next proposal take in how a trial ended, of which the study was told."""
        self._changed.add(trial.number)

    def _read(self, count: int) -> None:
        """Takes in what has become of the first trials, so many of them."""
        storage, study = self._study._storage, self._study._study_id
        for number in self._changed.union(range(self._known, count)):
            identity = storage.get_trial_id_from_study_id_trial_number(study, number)
            self._chosen.take_in(storage.get_trial(identity))
        self._known = max(self._known, count)
        self._changed.clear()
        self._shown.only, self._kinds.only = self._chosen.trials(), self._chosen.kinds()

    def _new(self) -> Trial:
        if self._waiting:
            trial = self._study.ask()
            self._waiting.discard(trial.number)
            return trial
        # The study itself would look through all its trials for one that waits.
        identity = self._study._storage.create_new_trial(self._study._study_id)
        return Trial(self._study, identity)


@final
class _Chosen:
    """The trials that are looked at, chosen as they come; ``ended`` counts all that could be."""

    def __init__(self, direction: StudyDirection) -> None:
        self._sign = 1.0 if direction is StudyDirection.MAXIMIZE else -1.0
        self._best: list[tuple[float, int, FrozenTrial]] = []
        self._latest: list[FrozenTrial] = []
        self._running: dict[int, FrozenTrial] = {}
        self._kinds: dict[tuple[TrialState, frozenset[str]], FrozenTrial] = {}
        self.ended = 0

    def take_in(self, trial: FrozenTrial) -> None:
        """Takes in a trial that runs, and once more when it has ended."""
        self._running.pop(trial.number, None)
        if trial.state is TrialState.RUNNING:
            self._running[trial.number] = trial
        if trial.state not in (TrialState.COMPLETE, TrialState.PRUNED):
            return
        self.ended += 1
        self._kinds.setdefault((trial.state, frozenset(trial.distributions)), trial)
        insort(self._latest, trial, key=attrgetter("number"))
        del self._latest[:-LATEST]
        if trial.state is TrialState.COMPLETE and trial.value is not None:
            # Of equal ones the earlier are better, as TPE has it.
            heappush(self._best, (self._sign * trial.value, -trial.number, trial))
            if len(self._best) > BEST:
                heappop(self._best)

    def trials(self) -> list[FrozenTrial]:
        """In the order of their numbers."""
        best = [trial for *_, trial in self._best]
        running = [self._running[number] for number in nlargest(LATEST, self._running)]
        chosen = {trial.number: trial for trial in (*best, *self._latest, *running)}
        return [chosen[number] for number in sorted(chosen)]

    def kinds(self) -> list[FrozenTrial]:
        """The first that ended of each state and set of parameters."""
        return list(self._kinds.values())


@final
class _Shown(OptunaStudy):
    """A study with fewer trials, as Optuna's Hyperband makes them of its brackets.

    Args:
        study: whose trials they are; ``only`` holds those that are shown.
    """

    def __init__(self, study: OptunaStudy) -> None:
        super().__init__(study.study_name, study._storage, study.sampler, study.pruner)
        self.only: list[FrozenTrial] = []

    def _get_trials(
        self,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
        use_cache: bool = False,
    ) -> list[FrozenTrial]:
        return [trial for trial in self.only if states is None or trial.state in states]


@final
class _Looking(BaseSampler):
    """Lets a sampler look at a part of the study.

    Args:
        sampler: that looks.
        shown: where it sees how trials went.
        kinds: where it sees what has been searched, which is the same for many trials.
        read: brings both up to date, for the trial of this number.
    """

    def __init__(
        self, sampler: BaseSampler, shown: _Shown, kinds: _Shown, read: Callable[[int], None]
    ) -> None:
        self._sampler, self._shown, self._kinds, self._read = sampler, shown, kinds, read

    def infer_relative_search_space(
        self, study: OptunaStudy, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        # This is the first that a proposal needs.
        self._read(trial.number)
        return self._sampler.infer_relative_search_space(self._kinds, trial)

    def sample_relative(
        self, study: OptunaStudy, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._sampler.sample_relative(self._shown, trial, search_space)

    def sample_independent(
        self,
        study: OptunaStudy,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        return self._sampler.sample_independent(self._shown, trial, param_name, param_distribution)
