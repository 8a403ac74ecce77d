"""Errors a user can cause; anything else is a bug and keeps its traceback.

StudyError
├── ConfigError        the study file, or a configuration file
├── RecordError        the study folder: missing, changed, in use
└── TrackingError      a tracking address that cannot be one
"""

from pathlib import Path
from typing import final


class StudyError(Exception):
    """A user's mistake, with every problem found.

    Args:
        place: the file, folder or command the problems are in.
        problems: each as ``path: what is wrong; what was probably meant``.
    """

    def __init__(self, place: str | Path, problems: list[str]) -> None:
        super().__init__(place, problems)
        self.place = str(place)
        self.problems = problems

    def __str__(self) -> str:
        if len(self.problems) == 1:
            return f"{self.place}: {self.problems[0]}"
        return "\n  ".join([f"{self.place}: {len(self.problems)} problems", *self.problems])


@final
class ConfigError(StudyError):
    """A study file, or a configuration file, that cannot be run."""


@final
class RecordError(StudyError):
    """A study folder that is missing, belongs to another study file, or is in use."""


@final
class TrackingError(StudyError):
    """A tracking address that MLflow could never reach."""
