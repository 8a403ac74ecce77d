"""Errors a user can cause; anything else is a bug and keeps its traceback.

StudyError
├── ConfigError        the study file, or a configuration file
├── RecordError        the study folder: missing, changed, in use
├── StorageError       the study's database: nobody answers, or it went away
├── ClusterError       a Ray cluster that was lost while a study ran
└── TrackingError      a tracking address that cannot be one, or where nobody answers a sync
"""

from typing import final


class StudyError(Exception):
    """A user's mistake, with every problem found.

    Args:
        place: the file, folder or command the problems are in.
        problems: each as ``path: what is wrong; what was probably meant``.
    """

    def __init__(self, place: object, problems: list[str]) -> None:
        super().__init__(place, problems)
        self.place = str(place)
        self.problems = problems

    def __str__(self) -> str:
        problems = [printable(problem) for problem in self.problems]
        place = printable(self.place)
        if len(problems) == 1:
            return f"{place}: {problems[0]}"
        return "\n  ".join([f"{place}: {len(problems)} problems", *problems])


@final
class ConfigError(StudyError):
    """A study file, or a configuration file, that cannot be run."""


@final
class RecordError(StudyError):
    """A study folder that is missing, belongs to another study file, or is in use."""


@final
class StorageError(StudyError):
    """A study's database that cannot be used, or not any more; launching again continues."""


@final
class ClusterError(StudyError):
    """A Ray cluster that was lost while a study ran on it; launching again continues."""


@final
class TrackingError(StudyError):
    """A tracking address that MLflow could never reach, or where nobody answers now."""


def printable(text: str) -> str:
    """A text with escapes for what a terminal would act on, or could not show."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
