"""Whether packs whose trials have ended are kept, because their processes will soon be of use."""

import time
from math import inf
from typing import final


@final
class Hold:
    """Keeps packs from ending while others start, and while there will soon be work again.

    Tune would give the process of a pack that ends to one that starts, throw away the process that
    is just coming up, and run short of processes for good. And where there is nothing to hand out
    yet, it would end the processes.
    """

    def __init__(self) -> None:
        self._starting: dict[str, float] = {}
        self._kept_seconds, self._kept_until = 0.0, inf

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
        if seconds != self._kept_seconds:
            self._kept_seconds, self._kept_until = seconds, inf

    def is_on(self) -> bool:
        """Whether a pack that has nothing left to do must wait before it ends."""
        now = time.monotonic()
        self._kept_until = min(self._kept_until, now + self._kept_seconds)
        return now < max(self._kept_until, *self._starting.values(), -inf)
