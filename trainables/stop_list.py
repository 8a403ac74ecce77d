"""What a driver says to packs while they run; imports nothing heavy, so that it is soon there."""

import time
from math import inf
from typing import final


@final
class StopList:
    """Trials that shall end early: a small actor that every pack reads before it steps.

    Tune can only stop a whole pack; this is how one trial of it is stopped. It also keeps packs
    from ending while others start: Tune would give the process of the one that ends to the one that
    starts, throw away the process that is just coming up, and run short of processes for good. And
    while there is nothing to hand out but soon will be: Tune would end the processes.
    """

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}
        self._is_interrupted = False
        self._starting: dict[str, float] = {}
        self._kept_seconds, self._kept_until = 0.0, inf

    def stop(self, reasons: dict[str, str]) -> None:
        """Adds trials, by key, with the reason."""
        self._reasons.update(reasons)

    def interrupt(self) -> None:
        """Asks every pack to save its trials and end."""
        self._is_interrupted = True

    def expect(self, pack: str, seconds: float) -> None:
        """Keeps packs from ending until another has started, but no longer than some seconds."""
        self._starting[pack] = time.monotonic() + seconds

    def started(self, pack: str) -> None:
        """A pack has its process, or will never have one."""
        self._starting.pop(pack, None)

    def keep(self, seconds: float) -> None:
        """Keeps packs from ending for so long from when the first of them has nothing left to do.

        Args:
            seconds: 0 lets them end.
        """
        self._kept_seconds, self._kept_until = seconds, inf

    def is_held(self) -> bool:
        """Whether a pack that has nothing left to do must wait before it ends."""
        now = time.monotonic()
        self._kept_until = min(self._kept_until, now + self._kept_seconds)
        until = max(self._kept_until, *self._starting.values(), -inf)
        return now < until and not self._is_interrupted

    def orders(self, keys: list[str]) -> tuple[dict[str, str], bool]:
        """Which of ``keys`` shall stop, with the reason; and whether all shall save and end."""
        return {
            key: self._reasons[key] for key in keys if key in self._reasons
        }, self._is_interrupted
