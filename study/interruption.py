"""Ctrl-C and SIGTERM while a study is launched."""

import signal
from types import FrameType
from typing import Any, Self, final

from rich.console import Console

from study.conductor import Conductor

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@final
class Interruption:
    """Ends a launch when it is told to; a context manager.

    While trials run, the first signal lets them save their state, and a second one ends the launch
    at once. Before and after that there is nothing to save, and the first one does.

    Args:
        console: where it is said.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.conductor: Conductor | None = None
        """Of the trials that run, while they do."""
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._before = {number: signal.getsignal(number) for number in SIGNALS}
        self.listen()
        return self

    def listen(self) -> None:
        """Takes the signals, also from Ray, which takes SIGTERM for itself where it starts."""
        for number in SIGNALS:
            signal.signal(number, self._interrupt)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self.conductor is None or self.conductor.is_stopped:
            raise KeyboardInterrupt
        self.console.print("stopping: running trials save their state; press again to stop at once")
        self.conductor.stop(KeyboardInterrupt())
