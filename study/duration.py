"""Times as a reader takes them in."""


def duration(seconds: float) -> str:
    """Seconds in words, by the unit that fits: ``40 s``, ``25 min``, ``3.5 h``."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"
