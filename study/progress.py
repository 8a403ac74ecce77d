"""What the terminal shows while a study runs: live where it is one, plain lines elsewhere."""

import time
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, final

from rich.console import Console, Group
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table

from study.duration import duration
from study.record import Result

PLAIN_SECONDS = 10.0


@final
class Terminal(Console):
    """The standard error; once nobody reads it any more it is quiet, and the study goes on."""

    def __init__(self) -> None:
        super().__init__(stderr=True)

    def on_broken_pipe(self) -> None:
        """Does not end the program, as the console of any other would."""
        self.quiet = True


@final
@dataclass
class Tally:
    """How far a study is.

    Args:
        planned: trials that the study holds when it ends.
        quality_name: selection metric without its phase.
        states: finished trials by state.
        best: best quality so far by combination, among complete search trials.
        running: trials handed out and not finished.
    """

    planned: int
    quality_name: str
    states: Counter[str] = field(default_factory=Counter)
    best: dict[str, float] = field(default_factory=dict)
    running: int = 0

    @property
    def finished(self) -> int:
        """Finished trials in any state."""
        return self.states.total()

    def add(self, result: Result) -> None:
        """Counts a finished trial."""
        trial, outcome = result.trial, result.outcome
        self.states[outcome.state] += 1
        if trial.phase == "search" and outcome.state == "complete":
            quality = outcome.metrics[f"val/{self.quality_name}"]
            self.best[trial.combination] = max(quality, self.best.get(trial.combination, quality))


@final
class Progress:
    """Shows a tally; a context manager.

    Args:
        tally: what is shown; the caller changes it and calls :meth:`show`.
        console: where.
    """

    def __init__(self, tally: Tally, console: Console) -> None:
        self._tally, self._console = tally, console
        self._began, self._finished_before = time.monotonic(), tally.finished
        self._shown = -PLAIN_SECONDS
        self._live = Live(console=console, transient=True) if console.is_terminal else None

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.stop()
        self._console.print(self.line(), highlight=False, soft_wrap=True)

    def show(self) -> None:
        """Brings the display up to date; plain lines come every few seconds at most."""
        now = time.monotonic()
        if self._live:
            self._live.update(self._picture())
        elif now - self._shown >= PLAIN_SECONDS:
            self._shown = now
            self._console.print(self.line(), highlight=False, soft_wrap=True)

    def line(self) -> str:
        """The whole state in one line."""
        tally = self._tally
        states = ", ".join(f"{tally.states[s]} {s}" for s in ("complete", "pruned", "failed"))
        left = self._seconds_left()
        ending = f", about {duration(left)} left" if left else ""
        return f"{tally.finished}/{tally.planned} trials: {states}, {tally.running} running{ending}"

    def _picture(self) -> Group:
        table = Table("combination", f"best val/{self._tally.quality_name}", box=None)
        for label, quality in sorted(self._tally.best.items(), key=lambda item: -item[1]):
            table.add_row(label, f"{quality:.4f}")
        bar = ProgressBar(self._tally.planned, self._tally.finished, width=60)
        # A bar alone does not end its line.
        return Group(Padding(bar), self.line(), table)

    def _seconds_left(self) -> float | None:
        done = self._tally.finished - self._finished_before
        if not done:
            return None
        left = self._tally.planned - self._tally.finished
        return (time.monotonic() - self._began) / done * left
