"""The conductor's two faces towards Ray Tune: a searcher and a scheduler of packs."""

import pickle
import re
from math import ceil
from pathlib import Path
from typing import Any, final

from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from study.conductor import Conductor


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
        with self._conductor.called_by_tune():
            return self._suggest(trial_id)
        return Searcher.FINISHED

    def _suggest(self, trial_id: str) -> Any:
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
            # Tune copies what it can look into, and writes it out, item by item.
            "tasks": pickle.dumps([trial.task() for trial in trials]),
            **self._room(self._conductor.is_roomy(trial_id), len(trials)),
        }

    def _room(self, is_roomy: bool, trials: int) -> dict[str, Any]:
        """The GPUs of a pack, and whether a trial of it that lacks memory could have more."""
        share = self._shared["gpus"]
        gpus = ceil(share) if is_roomy else share
        return {"gpus": gpus, "has_more_memory": trials > 1 or gpus < ceil(gpus)}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        self._running.remove(trial_id)
        with self._conductor.called_by_tune():
            self._conductor.end(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: a study is resumed from its record."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: a study is resumed from its record."""


@final
class PackScheduler(FIFOScheduler):
    """Passes every report to the conductor, and its answer to the pack before its next step."""

    def __init__(self, conductor: Conductor) -> None:
        TrialScheduler.__init__(self)
        self._conductor = conductor

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        stopped: dict[str, str] = {}
        with self._conductor.called_by_tune():
            members, seconds = dict(result["members"]), result["seconds"]
            stopped = self._conductor.report(trial.trial_id, members, seconds)
        if result["is_over"] and self._conductor.may_end():
            return str(TrialScheduler.STOP)
        is_interrupted = self._conductor.is_stopped
        if stopped or is_interrupted:
            # What one caller asks of an actor is done in the order it was asked.
            trial.temporary_state.ray_actor.obey.remote(stopped, is_interrupted)
        return str(TrialScheduler.CONTINUE)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """Keeps the error of a pack that raised; one whose process died leaves none."""
        path = Path(trial.error_file or "")
        last = path.read_text().strip().splitlines()[-1:] if path.is_file() else []
        if last and re.match(r"[\w.]+(Error|Exception): ", last[0]):
            self._conductor.blame(trial.trial_id, last[0])
