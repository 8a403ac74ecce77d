"""How fast trials end, and when the last one will."""

from typing import NamedTuple

from analysis.tables import StudyTables

RECENT = 20
FEWEST = 3


class Pace(NamedTuple):
    """Trials of any phase that end in a minute, and seconds until all have ended at that rate."""

    per_minute: float
    seconds_left: float


def pace(tables: StudyTables, planned: int, now: float) -> Pace | None:
    """The rate at which the newest trials ended, as far as some did.

    Args:
        tables: of the study.
        planned: trials of all phases that it will hold.
        now: Unix seconds.

    Returns:
        None where fewer than three trials have ended, or no time has passed since.
    """
    ended = tables.trials["ended"].dropna().sort_values()
    recent = ended.iloc[-RECENT - 1 :]
    if len(recent) < FEWEST or now <= recent.iloc[0]:
        return None
    per_second = (len(recent) - 1) / (now - recent.iloc[0])
    return Pace(60 * per_second, max(0, planned - len(ended)) / per_second)
