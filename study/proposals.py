"""What Optuna decides: one durable Optuna study per combination, asked, reported to and told."""

import warnings
from contextlib import AbstractContextManager, nullcontext
from typing import final
from zlib import crc32

import numpy as np
import optuna
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState

from study import samplers, warm_start
from study.config import StudyConfig
from study.journal import Journal
from study.recent_history import RecentHistory
from study.record import Record, Result, Trial
from study.space import Combination
from study.storage import study_name

DIRECTIONS = {"quality": StudyDirection.MAXIMIZE, "relative_gap": StudyDirection.MINIMIZE}
optuna.logging.set_verbosity(optuna.logging.WARNING)

STATES = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}


@final
class Proposals:
    """The Optuna study of one combination; ``asked`` counts its proposals so far, in any state.

    Args:
        record: of the study.
        combination: what is searched.
        storage: from ``storage.open_storage``; this process is the study's only writer.
    """

    def __init__(self, record: Record, combination: Combination, storage: BaseStorage) -> None:
        config = record.config
        self._record, self._config, self._combination = record, config, combination
        self._storage = storage
        self._asked: dict[str, optuna.Trial] = {}
        self._reported: dict[str, int] = {}
        self._study = optuna.create_study(
            storage=storage,
            study_name=study_name(record, combination.label),
            directions=[DIRECTIONS[objective] for objective in config.protocol.objectives],
            pruner=samplers.pruner(config),
            load_if_exists=True,
        )
        # This process is the study's only writer: it need not be read to be counted again.
        states = [trial.state for trial in self._study.get_trials(deepcopy=False)]
        self.asked = len(states) - states.count(TrialState.WAITING)
        self._begin_with_known()
        self._recent = RecentHistory(self._study, samplers.sight(config))

    @property
    def label(self) -> str:
        """The combination's label."""
        return self._combination.label

    @property
    def running(self) -> int:
        """Trials proposed and not told."""
        return len(self._asked)

    def resume(self) -> list[Trial]:
        """Tells every trial that a lost driver left untold; returns those that did not finish."""
        unfinished = []
        for frozen in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            trial = optuna.Trial(self._study, frozen._trial_id)
            planned = self._record.trial(self._key(trial)) or self._plan(trial)
            self._asked[planned.key] = trial
            self._reported[planned.key] = max(frozen.intermediate_values, default=0)
            result = self._record.result(planned.key) or self._record.publish_finished(planned)
            if result:
                self.tell(result)
            else:
                self._record.plan(planned)
                unfinished.append(planned)
        return unfinished

    def _begin_with_known(self) -> None:
        """Puts the best configurations of an earlier study first, where the study asks for it."""
        section = self._config.algorithm.warm_start
        if section is None or self.asked:
            return
        known = warm_start.proposals(section, self._record.folder.parent, self._combination)
        for values in known[: self._config.budget.trials_per_combination]:
            # A driver that was lost in the middle of this has put in some of them.
            self._study.enqueue_trial(values, skip_if_exists=True)

    def ask(self, like: Trial | None = None) -> Trial:
        """Proposes the next trial.

        Args:
            like: a running trial from which it may differ in real numbers only.
        """
        label = crc32(self.label.encode())
        seed, fixed = (
            int(np.random.SeedSequence([self._config.seed, label, *more]).generate_state(1)[0])
            for more in ([1 + self.asked], [0])
        )
        sampler = samplers.sampler(self._config, seed, fixed, self._recent)
        if like is not None:
            sampler = samplers.sharing(sampler, self._asked[like.key])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            with self.together():
                trial = self._recent.ask(sampler)
                planned = self._plan(trial)
        self.asked += 1
        self._asked[planned.key], self._reported[planned.key] = trial, 0
        return planned

    def together(self) -> AbstractContextManager[None]:
        """What is asked, reported and told within is made durable all at once, where it can be."""
        return self._storage.together() if isinstance(self._storage, Journal) else nullcontext()

    def report(self, key: str, epoch: int, quality: float) -> bool:
        """Reports a validation; returns whether the pruner wants the trial to stop."""
        # A trial that continues from a checkpoint reports some epochs a second time.
        is_new = epoch > self._reported[key]
        if len(self._config.protocol.objectives) > 1 or not is_new or not np.isfinite(quality):
            return False
        self._reported[key] = epoch
        self._asked[key].report(quality, epoch)
        return self._recent.should_prune(self._asked[key])

    def tell(self, result: Result) -> None:
        """Tells how a trial ended."""
        trial = self._asked.pop(result.trial.key)
        outcome = result.outcome
        if outcome.reason:
            trial.set_user_attr("reason", outcome.reason)
        if outcome.state == "complete":
            self._study.tell(trial, objective_values(self._config, outcome.metrics))
        else:
            self._study.tell(trial, state=STATES[outcome.state])
        self._recent.ended(trial)

    def _key(self, trial: optuna.Trial) -> str:
        return f"{self.label}-{trial.number:04d}"

    def _plan(self, trial: optuna.Trial) -> Trial:
        """The trial as the record knows it."""
        configuration = self._combination.propose(trial)
        return Trial(
            key=self._key(trial),
            phase="search",
            combination=self.label,
            number=trial.number,
            seeds=member_seeds(
                self._config.seed, self.label, trial.number, self._config.data.folds
            ),
            configuration=configuration.nested(),
            proposed_by=samplers.proposer(self._config, trial),
        )


def objective_values(config: StudyConfig, metrics: dict[str, float]) -> list[float]:
    """The values Optuna optimises, from the final metrics of a complete trial."""
    names = {
        "quality": f"val/{config.protocol.quality_name}",
        "relative_gap": f"bound/{config.protocol.gap_name}",
    }
    return [metrics[names[objective]] for objective in config.protocol.objectives]


def member_seeds(seed: int, label: str, number: int, count: int) -> tuple[int, ...]:
    """Seeds of the members of a search trial."""
    sequence = np.random.SeedSequence([seed, crc32(label.encode()), number])
    return tuple(int(state) for state in sequence.generate_state(count))
