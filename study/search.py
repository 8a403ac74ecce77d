"""Optuna decides, Ray executes: the conductor of a study and its two faces towards Ray Tune."""

import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, final

import ray
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from study import confirmation
from study.proposals import Proposals
from study.record import Record, Result, Trial
from trainables.attempt import Outcome

LONGEST_START_SECONDS = 10.0
"""How long packs are kept from ending for one that starts; it may be waiting for resources."""
Observer = Callable[[Result], None]


@final
class Conductor:
    """Hands out packs of trials, hears of their progress, and publishes how they end.

    Publishing comes first and telling Optuna second, so a trial whose result is published is never
    run again, whenever the driver dies.

    Args:
        record: of the study.
        proposals: one per combination.
        unfinished: trials that an earlier driver left, see :meth:`Proposals.resume`.
        stop_list: handle of the actor that ends single trials of a pack.
        observer: hears of every published result.
        concurrent: packs at once.
    """

    def __init__(
        self,
        record: Record,
        proposals: list[Proposals],
        *,
        unfinished: list[Trial],
        stop_list: Any,
        observer: Observer,
        concurrent: int,
    ) -> None:
        self._config, self._record, self._observer = record.config, record, observer
        self._concurrent = concurrent
        self._proposals = {proposal.label: proposal for proposal in proposals}
        self._stop_list = stop_list
        self._waiting: dict[str, deque[Trial]] = {label: deque() for label in self._proposals}
        for trial in unfinished:
            self._waiting[trial.combination].append(trial)
        self._unconfirmed = set(self._proposals)
        self._confirmations: deque[Trial] = deque()
        self._packs: dict[str, dict[str, Trial]] = {}
        self.is_interrupted = False

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles what it is given, and a study is resumed from its record."""
        return {}

    @property
    def running(self) -> int:
        """Trials handed out and not finished."""
        return sum(len(trials) for trials in self._packs.values())

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left to hand out, now or later."""
        nothing = not self._packs and not self._confirmations and not self._unconfirmed
        return self.is_interrupted or nothing

    def next_pack(self, pack: str) -> list[Trial]:
        """Trials for a new pack; empty while only running trials can bring new work."""
        self._plan_confirmations()
        trials = self._search_pack() or [
            self._confirmations.popleft() for _ in range(bool(self._confirmations))
        ]
        if trials:
            self._packs[pack] = {trial.key: trial for trial in trials}
            ray.get(self._stop_list.expect.remote(pack, LONGEST_START_SECONDS))
        return trials

    def report(self, pack: str, members: dict[str, dict[str, float]]) -> None:
        """Takes in one report of a pack: validations, and trials that have ended.

        The pack waits for this before it steps again, so what is asked of the stop list here is
        done in its very next step.
        """
        if self.is_interrupted:
            ray.get(self._stop_list.interrupt.remote())
        stopped: dict[str, str] = {}
        for key, member in members.items():
            trial = self._packs[pack].get(key)
            if trial is None:
                continue
            if member["is_finished"]:
                self._finish(pack, trial)
            elif self._is_pruned(trial, member):
                stopped[key] = f"pruned after epoch {member['epoch']:.0f}"
        if stopped:
            ray.get(self._stop_list.stop.remote(stopped))

    def end(self, pack: str) -> None:
        """The pack's process is gone; what it did not finish failed, unless we stopped it."""
        # It may have died before it could say so itself.
        ray.get(self._stop_list.started.remote(pack))
        for trial in list(self._packs[pack].values()):
            if not self.is_interrupted:
                self._finish(pack, trial)
        del self._packs[pack]

    def _search_pack(self) -> list[Trial]:
        """Trials of the combination that is furthest behind."""
        budget = self._config.budget.trials_per_combination
        missing = {
            label: len(self._waiting[label]) + budget - proposal.asked
            for label, proposal in self._proposals.items()
        }
        label = max(missing, key=lambda name: missing[name])
        # Towards the end packs shrink, so that all processes end at about the same time.
        share = -(sum(missing.values()) // -self._concurrent)
        size = min(self._config.budget.pack, missing[label], share)
        return [self._next_trial(label) for _ in range(size)]

    def _next_trial(self, label: str) -> Trial:
        if self._waiting[label]:
            return self._waiting[label].popleft()
        trial = self._proposals[label].ask()
        self._record.plan(trial)
        return trial

    def _plan_confirmations(self) -> None:
        """Plans those of every combination whose search has ended."""
        for label in sorted(self._unconfirmed):
            proposal = self._proposals[label]
            if proposal.running or proposal.asked < self._config.budget.trials_per_combination:
                continue
            self._unconfirmed.remove(label)
            results = [r for r in self._record.results() if r.trial.combination == label]
            done = {result.trial.key for result in results}
            for trial in confirmation.plan(self._config, results):
                if trial.key not in done:
                    self._record.plan(trial)
                    self._confirmations.append(trial)

    def _is_pruned(self, trial: Trial, member: dict[str, float]) -> bool:
        if trial.phase != "search":
            return False
        proposal = self._proposals[trial.combination]
        return proposal.report(trial.key, int(member["epoch"]), member["quality"])

    def _finish(self, pack: str, trial: Trial) -> None:
        result = self._record.publish_finished(trial)
        if result is None:
            lost = Outcome("failed", "its process died", {}, [], [], time.time(), time.time())
            result = self._record.publish(trial, 0, lost)
        if trial.phase == "search":
            self._proposals[trial.combination].tell(result)
        del self._packs[pack][trial.key]
        self._observer(result)


@final
class PackSearcher(Searcher):
    """Asks the conductor for packs.

    Args:
        conductor: hands them out.
        shared: the part of a pack's configuration that is the same for all.
        concurrent: packs at once.
    """

    def __init__(self, conductor: Conductor, shared: dict[str, Any], concurrent: int) -> None:
        super().__init__()
        self._conductor, self._shared, self._concurrent = conductor, shared, concurrent
        self._running: set[str] = set()

    def suggest(self, trial_id: str) -> Any:
        if self._conductor.is_finished:
            return Searcher.FINISHED
        if len(self._running) >= self._concurrent:
            return None
        trials = self._conductor.next_pack(trial_id)
        if not trials:
            return Searcher.FINISHED if self._conductor.is_finished else None
        self._running.add(trial_id)
        return {
            **self._shared,
            "pack": trial_id,
            "tasks": [asdict(trial.task()) for trial in trials],
        }

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        self._running.remove(trial_id)
        self._conductor.end(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: a study is resumed from its record."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: a study is resumed from its record."""


@final
class PackScheduler(FIFOScheduler):
    """Passes every report to the conductor; packs end by themselves."""

    def __init__(self, conductor: Conductor) -> None:
        TrialScheduler.__init__(self)
        self._conductor = conductor

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        self._conductor.report(trial.trial_id, _members(result))
        return str(TrialScheduler.CONTINUE)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        self._conductor.report(trial.trial_id, _members(result))


def _members(result: dict[str, Any]) -> dict[str, dict[str, float]]:
    """What a pack reports of each trial, by key; Tune flattens it to ``members/KEY/epoch``."""
    members: dict[str, dict[str, float]] = defaultdict(dict)
    for name, value in result.items():
        if name.startswith("members/"):
            _, key, quantity = name.split("/")
            members[key][quantity] = value
    return members
