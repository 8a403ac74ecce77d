"""The conductor of a study: Optuna decides, Ray executes, the record remembers."""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, final

from study.hold import Hold
from study.pack_size import PackSizes
from study.pending_confirmations import PendingConfirmations
from study.proposals import Proposals
from study.record import Record, Result, Trial
from study.search_queue import SearchQueue
from trainables.attempt import Outcome

LONGEST_START_SECONDS = 30.0
"""How long packs are kept from ending for one that starts; it may be waiting for resources."""
LONGEST_WAIT_SECONDS = 60.0
"""How long for confirmations, which begin when the last trials of a search have ended."""
Observer = Callable[[Result], None]


@final
class Conductor:
    """Hands out packs of trials, hears of their progress, and publishes how they end.

    Publishing comes first and telling Optuna second, so a trial whose result is published is never
    run again, whenever the driver dies. A trial whose process died runs again, in a pack of its own
    from then on, for it may be to blame. One that lacked memory runs once more with all that there
    is: alone, and on a whole GPU.

    Args:
        record: of the study.
        proposals: one per combination.
        unfinished: trials that an earlier driver left, see :meth:`Proposals.resume`.
        observer: hears of every published result.
        concurrent: packs at once.
    """

    def __init__(
        self,
        record: Record,
        proposals: list[Proposals],
        *,
        unfinished: list[Trial],
        observer: Observer,
        concurrent: int,
    ) -> None:
        self._config, self._record, self._observer = record.config, record, observer
        self._sizes = PackSizes(record.config.budget, concurrent)
        self._proposals = {proposal.label: proposal for proposal in proposals}
        self._together = proposals[0].together
        self._queue = SearchQueue(record, self._proposals, unfinished)
        self._hold = Hold()
        self._confirmations = PendingConfirmations(record, proposals)
        self._lost_before: deque[Trial] = deque()
        self._lacked_memory: deque[Trial] = deque()
        self._need_room: set[str] = set()
        self._suspects: deque[Trial] = deque()
        self._suspect_pack = ""
        self._losses: Counter[str] = Counter()
        self._errors: dict[str, str] = {}
        self._packs: dict[str, dict[str, Trial]] = {}
        self._ended: deque[tuple[str, Trial]] = deque()
        self.is_stopped = False
        self.error: BaseException | None = None

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
        again = self._suspects or self._lost_before or self._lacked_memory
        left = again or self._confirmations.is_searching or self._confirmations.waiting
        return self.is_stopped or not (self._packs or left)

    def stop(self, error: BaseException | None = None) -> None:
        """Ends the study before it is whole: running trials save their state, and no more begin.

        Args:
            error: to be raised once all have ended; None if what there is shall be reported.
        """
        if not self.is_stopped:
            self.is_stopped, self.error = True, error

    @contextmanager
    def called_by_tune(self) -> Iterator[None]:
        """Stops the study at an error, which Tune would wrap or swallow; writes to Optuna once."""
        try:
            with self._together():
                yield
        except Exception as error:
            self.stop(error)

    def next_pack(self, pack: str) -> list[Trial]:
        """Trials for a new pack; empty while only running trials can bring new work."""
        self._confirmations.plan()
        trials = self._choose(pack)
        if trials:
            self._packs[pack] = {trial.key: trial for trial in trials}
            self._sizes.handed_out(pack, trials)
            self._hold.expect(pack, LONGEST_START_SECONDS)
        self._keep_processes()
        return trials

    def is_roomy(self, pack: str) -> bool:
        """Whether a pack gets a whole GPU, where packs have shares of one."""
        return not self._need_room.isdisjoint(self._packs[pack])

    def started(self, pack: str) -> None:
        """A pack has its process."""
        self._hold.started(pack)

    def may_end(self) -> bool:
        """Whether a pack whose trials have all ended is not kept for others."""
        return self.is_stopped or not self._hold.is_on()

    def report(
        self, pack: str, members: dict[str, dict[str, float]], seconds: float
    ) -> dict[str, str]:
        """Takes in one report of a pack, which waits; :meth:`settle` does what takes longer.

        Args:
            pack: its name.
            members: what it says of each trial, by key.
            seconds: how long it has been at work.

        Returns:
            Its trials that shall end in its next step, by key, with the reason.
        """
        self._sizes.reported(pack, members, seconds)
        stopped: dict[str, str] = {}
        for key, member in members.items():
            trial = self._packs[pack].get(key)
            if trial is None:
                continue
            if member["lacks_memory"]:
                self._record.plan(trial)  # as a lost one: what cannot be written here is no fault
                self._need_room.add(key)
                self._lacked_memory.append(self._packs[pack].pop(key))
            elif member["is_finished"]:
                self._ended.append((pack, trial))
            elif self._is_pruned(trial, member):
                stopped[key] = f"pruned after epoch {member['epoch']:.0f}"
        self._keep_processes()
        return stopped

    def settle(self) -> None:
        """Publishes what has ended, tells Optuna, and asks for as much more, while packs train."""
        if not self._ended:
            return
        while self._ended:
            pack, trial = self._ended.popleft()
            if trial.key in self._packs.get(pack, {}):
                self._finish(pack, trial)
        self._keep_processes()

    def blame(self, pack: str, error: str) -> None:
        """Notes the error that ends a pack's process; without one it simply died."""
        self._errors[pack] = error

    def end(self, pack: str, *, is_blamed: bool = True) -> None:
        """The pack's process is gone; what it did not finish is lost, unless we stopped it."""
        # It may have died before it was there.
        self._hold.started(pack)
        self.settle()
        self._sizes.ended(pack)
        for trial in list(self._packs[pack].values()):
            if not self.is_stopped:
                self._finish(pack, trial, is_blamed)
        del self._packs[pack]
        self._errors.pop(pack, None)

    def end_all(self) -> None:
        """The processes of all packs are gone, because of one of them.

        Where it is not known of which, none is blamed: each trial runs again with nothing beside
        it, and then it is known.
        """
        is_blamed = len(self._packs) == 1
        for pack in list(self._packs):
            self.end(pack, is_blamed=is_blamed)

    def _choose(self, pack: str) -> list[Trial]:
        """A suspect by itself, with no other pack beside it, before all others."""
        if self._suspects or self._suspect_pack in self._packs:
            if self._packs:
                return []
            self._suspect_pack = pack
            return _first(self._suspects)
        # A whole GPU is free only when the packs that share one become fewer.
        late = self._lacked_memory or self._confirmations.waiting
        return _first(self._lost_before) or self._search_pack() or _first(late)

    def _search_pack(self) -> list[Trial]:
        return self._queue.next(self._sizes.next(self._queue.missing, self._packs))

    def _keep_processes(self) -> None:
        """Has packs wait where only running trials can bring new work, so that it finds them."""
        if self.is_stopped:
            return
        self._confirmations.plan()
        again = self._suspects or self._lost_before or self._lacked_memory
        now = again or self._confirmations.waiting
        later = self._confirmations.will_come and not self._queue.missing
        self._hold.keep(LONGEST_WAIT_SECONDS if later and not now else 0.0)

    def _is_pruned(self, trial: Trial, member: dict[str, float]) -> bool:
        if trial.phase != "search":
            return False
        proposal = self._proposals[trial.combination]
        return proposal.report(trial.key, int(member["epoch"]), member["quality"])

    def _finish(self, pack: str, trial: Trial, is_blamed: bool = True) -> None:
        result = self._record.publish_finished(trial) or self._lost(pack, trial, is_blamed)
        if result:
            is_search = trial.phase == "search"
            if is_search:
                self._proposals[trial.combination].tell(result)
            self._observer(result)
            if is_search and result.outcome.state == "complete" and not self.is_stopped:
                self._queue.ask_ahead()
        del self._packs[pack][trial.key]

    def _lost(self, pack: str, trial: Trial, is_blamed: bool) -> Result | None:
        """A trial whose process died: it runs again, or has failed after too many losses."""
        self._losses[trial.key] += is_blamed
        losses = self._losses[trial.key]
        if losses <= self._config.budget.retries:
            # What cannot be written here could not be written there: a full disk is no one's fault.
            self._record.plan(trial)
            (self._lost_before if is_blamed else self._suspects).append(trial)
            return None
        error, now = self._errors.get(pack), time.time()
        reason = f"its process ended with {error}" if error else "its process died"
        reason += f", {losses} times" if losses > 1 else ""
        return self._record.publish(trial, 0, Outcome("failed", reason, {}, [], [], now, now))


def _first(trials: deque[Trial]) -> list[Trial]:
    """The first trial that waits, for a pack of its own; none if none does."""
    return [trials.popleft()] if trials else []
