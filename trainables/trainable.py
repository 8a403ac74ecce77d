"""The Ray Tune trainable: one process runs one pack of trials, stepped in lock-step."""

import pickle
import time
from collections import deque
from dataclasses import replace
from typing import Any, final

import ray
import torch
from ray import tune

from trainables import gpu
from trainables.allocation import keep_freed_memory
from trainables.limits import Limits, ending_after
from trainables.packer import Packer
from trainables.places import place
from trainables.recorded import RecordedTrial
from trainables.tasks import Rules, StudyData, TrialTask
from trainables.training import Trained

SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.02, 1.0
"""How long a step takes of a pack that has nothing to do, and is kept from ending."""
LENGTHENED = 1.25
"""How much longer each such step takes than the one before."""
TOLD_SECONDS = 2.0
"""How long trials may have ended before the driver hears of it; it has work with each of them."""


@final
class PackTrainable(tune.Trainable):
    """Runs the trials of one pack until each is complete, pruned or failed.

    Its configuration holds ``tasks`` (a pickled list of ``TrialTask``), ``folder`` of all trials,
    ``gpus`` (its share of them) and ``has_more_memory`` (whether one that lacks it could have
    more); ``study``, ``rules``, ``threads``, ``is_stacked`` and ``limits`` come through the object
    store. A round trains every unfinished trial to its next validation; a step is a round, or a
    part of it where trials come to their ends. It reports ``members``, ``(key, {epoch, quality,
    is_finished, lacks_memory})`` of each trial it dealt with, ``seconds`` since the pack began, and
    ``is_over``, whether all its trials are: the driver ends it, or keeps it for a while. Of every
    number in a dictionary Tune would keep statistics.
    """

    def setup(self, config: dict[str, Any], **shared: Any) -> None:
        torch.set_num_threads(shared["threads"])
        self._study: StudyData = shared["study"]
        self._rules: Rules = shared["rules"]
        self._limits: Limits = shared["limits"]
        keep_freed_memory(self._limits.memory)
        self._limits.cap_memory()
        self._device = gpu.claimed(ray.get_gpu_ids())
        self._trials: dict[str, RecordedTrial] = {}
        self._packer, self._is_stacked = Packer(), bool(shared["is_stacked"])
        self._round: deque[str] = deque()
        self._trained: dict[str, Trained] = {}
        self._pack, self._steps = config, 0

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.cleanup()
        self._pack, self._steps = new_config, 0
        return True

    def obey(self, stopped: dict[str, str], is_interrupted: bool) -> None:
        """What the driver answers to a report; it comes before the next step.

        Args:
            stopped: trials that shall end as pruned, by key, with the reason.
            is_interrupted: whether all shall save their state, and the pack end.
        """
        self._stopped |= stopped
        self._is_interrupted |= is_interrupted

    def step(self) -> dict[str, Any]:
        if self._steps == 0:
            self._start(self._pack)
        told = {key for key, trial in self._trials.items() if trial.is_over and not self._steps}
        active = {key: trial for key, trial in self._trials.items() if not trial.is_over}
        if self._is_interrupted:
            self.cleanup()
            return self._report(set(), is_done=True)
        if not active and self._steps:
            self._pause()
        if not self._round:
            self._round.extend(active)
            unstopped = {key: trial for key, trial in active.items() if key not in self._stopped}
            self._trained = self._train(unstopped)
        told |= self._advance()
        self._steps += 1
        return self._report(told)

    def cleanup(self) -> None:
        # What was trained together, and not judged yet, could not be saved as it is.
        for key, trained in self._trained.items():
            self._trials[key].step(None, trained)
        self._round.clear()
        self._trained = {}
        for trial in self._trials.values():
            trial.checkpoint()

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        self.cleanup()

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing to load: every start continues from the newest checkpoint of each trial."""

    def _start(self, config: dict[str, Any]) -> None:
        """Claims the trials. Not in ``setup``: Tune also sets up actors that it never steps."""
        self._began, self._pause_seconds = time.monotonic(), SHORTEST_PAUSE_SECONDS
        self._stopped: dict[str, str] = {}
        self._is_interrupted = False
        tasks: list[TrialTask] = pickle.loads(config["tasks"])
        folder = place(config["folder"])
        # Not both at a time: the trials of the pack before, and these.
        self._trials = {}
        self._packer.forget()
        gpu.cap_memory(self._device, config["gpus"])
        limits = replace(self._limits, has_more_memory=config["has_more_memory"])
        shared = (self._study, self._rules, folder, limits, self._device)
        self._trials = {task.key: RecordedTrial(task, *shared) for task in tasks}

    def _advance(self) -> set[str]:
        """Takes trials of this round to their next validation; all, or until some have ended."""
        began, advanced = time.monotonic(), set()
        while self._round:
            key = self._round.popleft()
            advanced.add(key)
            self._trials[key].step(self._stopped.get(key), self._trained.pop(key, None))
            if self._trials[key].is_over and time.monotonic() - began > TOLD_SECONDS:
                break
        return advanced

    def _report(self, told: set[str], *, is_done: bool = False) -> dict[str, Any]:
        members = {
            key: {
                "epoch": trial.epochs,
                "quality": trial.quality,
                "is_finished": int(trial.is_over),
                "lacks_memory": int(trial.lacks_memory),
            }
            for key, trial in self._trials.items()
            if key in told
        }
        return {
            "members": list(members.items()),
            "seconds": time.monotonic() - self._began,
            "is_over": all(trial.is_over for trial in self._trials.values()),
            "done": is_done,
        }

    def _train(self, trials: dict[str, RecordedTrial]) -> dict[str, Trained]:
        """Trains what gains by being stepped together; a part of the time is that of each trial.

        What takes longer than all of them may ends this process. Of several trials each begins
        again by itself then: only so is it known which of them hangs.
        """
        runs = {key: trial.run for key, trial in trials.items() if trial.run}
        if not (runs and self._is_stacked):
            return {}
        (only, *others) = (trials[key] for key in runs)
        limits = [trials[key].seconds_left for key in runs]
        most = sum(limit or 0.0 for limit in limits) if None not in limits else None
        began = time.monotonic()
        with ending_after(most, _nothing if others else only.hang):
            trained = self._packer.train(runs)
        for key in trained:
            trials[key].spend((time.monotonic() - began) / len(trained))
        return trained

    def _pause(self) -> None:
        """Waits ever longer while there is nothing to do: every report costs the driver time."""
        time.sleep(self._pause_seconds)
        self._pause_seconds = min(LENGTHENED * self._pause_seconds, LONGEST_PAUSE_SECONDS)


def _nothing() -> None:
    """What is done when it is not known whose fault it is."""
