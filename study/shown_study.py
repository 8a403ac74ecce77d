"""A study of Optuna's with fewer trials, and a sampler that looks at it."""

from collections.abc import Callable, Container
from typing import Any, final

from optuna import Study as OptunaStudy
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState


@final
class ShownStudy(OptunaStudy):
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
class Looking(BaseSampler):
    """Lets a sampler look at a part of the study.

    Args:
        sampler: that looks.
        shown: where it sees how trials went.
        kinds: where it sees what has been searched, which is the same for many trials.
        show: brings both up to date.
    """

    def __init__(
        self,
        sampler: BaseSampler,
        shown: ShownStudy,
        kinds: ShownStudy,
        show: Callable[[], None],
    ) -> None:
        self._sampler, self._shown, self._kinds, self._show = sampler, shown, kinds, show

    def infer_relative_search_space(
        self, study: OptunaStudy, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        # This is the first that a proposal needs.
        self._show()
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
