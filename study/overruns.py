"""What ends a launch before its study is whole: too much time, too many failures."""

import time
from typing import final

from rich.console import Console

from study.conductor import Conductor
from study.config import BudgetSection
from study.progress import Tally


@final
class Overruns:
    """What ends a launch before its study is whole, as the study file asks.

    Args:
        budget: of the study; its hours begin now.
    """

    def __init__(self, budget: BudgetSection) -> None:
        self._budget, self._began = budget, time.monotonic()

    def stop(self, conductor: Conductor, tally: Tally, console: Console) -> None:
        """Stops the conductor where too much time has passed, or too many trials have failed."""
        hours, most = self._budget.hours, self._budget.max_failed
        if conductor.is_stopped:
            return
        if hours is not None and time.monotonic() - self._began > 3600 * hours:
            console.print(f"stopping: budget.hours: {hours:g} hours are over")
            conductor.stop(KeyboardInterrupt())
        elif most is not None and tally.states["failed"] >= most:
            console.print(f"stopping: budget.max_failed: {most} trials have failed")
            conductor.stop()
