"""What samplers and pruners look at: of a long history a part, so that it costs no more to look.

A proposal of TPE takes time with every trial it looks at, and soon more than a short trial takes to
train. The trials it finds good, 25 at most, are always among those shown here. Of the others, which
only say where not to look, it sees the latest; ``benchmarks/search_history.py`` shows what this
saves and costs. A pruner compares a trial with others of every time, of which some are enough.
"""

import math
from typing import final

from optuna import Study as OptunaStudy
from optuna import Trial
from optuna.samplers import BaseSampler
from optuna.trial import TrialState

from study.chosen_trials import ChosenTrials, Sight
from study.read_once import ReadValues
from study.shown_study import Looking, ShownStudy


@final
class RecentHistory:
    """The trials of a study that its sampler and its pruner look at, kept up to date.

    A trial is read when it is new and when it has changed: each time is a question to the storage,
    and a cluster runs thousands. ``read`` is where ``ReadOnceTPE`` keeps their values.

    Args:
        study: whose trials nobody else adds to, reports of or ends.
        sight: how much of it the sampler sees.
    """

    def __init__(self, study: OptunaStudy, sight: Sight | None = None) -> None:
        self._study, self._sight = study, sight or Sight()
        self._chosen = ChosenTrials(study.directions, self._sight)
        self._shown, self._kinds, self._compared = (ShownStudy(study) for _ in range(3))
        self._newest: int | None = None
        self.read: ReadValues = {}
        every = study.get_trials(deepcopy=False)
        for trial in every:
            self._chosen.take_in(trial)
        self._waiting = {t.number for t in every if t.state is TrialState.WAITING}
        # What a lost driver had only begun to propose is completed before the next proposal.
        self._changed = {t.number for t in every if not t.state.is_finished()}

    def good(self, shown: int) -> int:
        """Of how many trials TPE makes its model of good ones: of as many as if it saw all.

        That is Optuna's tenth, of 25 at most (Watanabe 2023, Tree-Structured Parzen Estimator).

        Args:
            shown: how many that ended it is shown, by which Optuna would decide.
        """
        return min(self._sight.best, math.ceil(0.1 * self._chosen.ended))

    def ask(self, sampler: BaseSampler) -> Trial:
        """A new trial, proposed by a sampler that sees no other trials."""
        if self._newest is not None:  # its values were proposed after it was made
            self._changed.add(self._newest)
        self._study.sampler = Looking(sampler, self._shown, self._kinds, self._show)
        trial = self._new()
        self._newest = trial.number
        return trial

    def should_prune(self, trial: Trial) -> bool:
        """Whether the study's pruner, which sees no other trials, wants this one to stop.

        Args:
            trial: of which the study was told a further value.
        """
        self._read()
        self._compared.only = self._chosen.for_pruner()
        latest = self._study._storage.get_trial(trial._trial_id)
        # The pruner of successive halving notes how far a trial has come.
        self._changed.add(trial.number)
        return self._study.pruner.prune(self._compared, latest)

    def ended(self, trial: Trial) -> None:
        """Has the next proposal take in how a trial ended, of which the study was told."""
        self._changed.add(trial.number)
        if self._newest == trial.number:
            self._newest = None

    def _show(self) -> None:
        self._read()
        self._shown.only, self._kinds.only = self._chosen.for_sampler(), self._chosen.kinds()

    def _read(self) -> None:
        """Takes in what is new or has changed."""
        storage, study = self._study._storage, self._study._study_id
        for number in self._changed:
            identity = storage.get_trial_id_from_study_id_trial_number(study, number)
            self._chosen.take_in(storage.get_trial(identity))
        self._changed.clear()

    def _new(self) -> Trial:
        if self._waiting:
            trial = self._study.ask()
            self._waiting.discard(trial.number)
            return trial
        # The study itself would look through all its trials for one that waits.
        identity = self._study._storage.create_new_trial(self._study._study_id)
        return Trial(self._study, identity)
