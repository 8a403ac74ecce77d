"""The study folder: the one truth about a study, written atomically and read back as tables.

::

    study.json                 configuration, digests, versions
    optuna.journal             one Optuna study per combination
    lease.json                 which driver is at work
    tracking                   identity of the study in MLflow, and the lock of its one writer
    trials/KEY/trial.json      what was planned
    trials/KEY/attempt-N/      what a worker left: see ``trainables.recorded``
    trials/KEY/result.json     what counts: the outcome of one attempt, published by the driver
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

from study.config import StudyConfig
from study.errors import RecordError
from trainables.attempt import Attempt, Outcome
from trainables.training import Phase, TrialTask
from trainables.wording import nearest

UNREADABLE = (OSError, ValueError, KeyError, TypeError)


@final
@dataclass(frozen=True)
class Trial:
    """A planned trial.

    Args:
        key: names it everywhere, as ``mlp+mean+triplet-0007``.
        phase: search or confirmation.
        combination: its label.
        number: within its combination, from 0; a confirmation has that of the trial it confirms.
        seeds: one for each member.
        configuration: as ``Configuration.nested``.
        proposed_by: ``model`` or ``random``; empty for a confirmation.
    """

    key: str
    phase: Phase
    combination: str
    number: int
    seeds: tuple[int, ...]
    configuration: dict[str, Any]
    proposed_by: str = ""

    def task(self) -> TrialTask:
        """What a worker needs to run it."""
        return TrialTask(self.key, self.phase, self.configuration, self.seeds)


@final
@dataclass(frozen=True)
class Result:
    """A published trial: what was planned, and the outcome of the attempt that counts."""

    trial: Trial
    attempt: int
    outcome: Outcome


@final
class Record:
    """One study folder.

    Args:
        folder: an existing study folder.

    Raises:
        RecordError: if the folder holds no study.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            self.manifest: dict[str, Any] = json.loads((folder / "study.json").read_text())
        except OSError as error:
            raise RecordError(folder, [f"holds no study; {_remedy(folder)}"]) from error
        except ValueError as error:
            raise RecordError(folder, ["study.json: is damaged; restore it"]) from error
        self.config = _config(folder, self.manifest)

    @classmethod
    def create(cls, folder: Path, manifest: dict[str, Any]) -> "Record":
        """Starts a record, or replaces the manifest of one that is extended."""
        (folder / "trials").mkdir(parents=True, exist_ok=True)
        write_durably(folder / "study.json", json.dumps(manifest, indent=2))
        return cls(folder)

    @property
    def trials_folder(self) -> Path:
        """Where workers leave their attempts."""
        return self.folder / "trials"

    def plan(self, trial: Trial) -> None:
        """Notes a trial before it is handed out."""
        path = self.trials_folder / trial.key
        path.mkdir(exist_ok=True)
        _replace(path / "trial.json", json.dumps(asdict(trial)))

    def publish(self, trial: Trial, number: int, outcome: Outcome) -> Result:
        """Makes the outcome of an attempt the one that counts."""
        result = Result(trial, number, outcome)
        write_durably(self.trials_folder / trial.key / "result.json", json.dumps(asdict(result)))
        return result

    def trial(self, key: str) -> Trial | None:
        """A planned trial, or None."""
        try:
            return _trial(json.loads((self.trials_folder / key / "trial.json").read_text()))
        except UNREADABLE:
            return None

    def trials(self) -> list[Trial]:
        """Every planned trial, in order of its key."""
        keys = sorted(path.parent.name for path in self.trials_folder.glob("*/trial.json"))
        return [trial for key in keys if (trial := self.trial(key))]

    def result(self, key: str) -> Result | None:
        """The published result of a trial, or None."""
        try:
            content = json.loads((self.trials_folder / key / "result.json").read_text())
            trial, outcome = _trial(content["trial"]), Outcome(**content["outcome"])
        except UNREADABLE:
            return None
        return Result(trial, content["attempt"], outcome)

    def results(self) -> list[Result]:
        """Every published result, in order of its key."""
        keys = sorted(path.parent.name for path in self.trials_folder.glob("*/result.json"))
        return [result for key in keys if (result := self.result(key))]

    def publish_finished(self, trial: Trial) -> Result | None:
        """Publishes the attempt of a trial that came to its end, if one did."""
        finished = Attempt.finished(self.trials_folder / trial.key)
        outcome = finished.outcome() if finished else None
        return self.publish(trial, finished.number, outcome) if finished and outcome else None

    def files(self, result: Result) -> Path:
        """The folder with the files of the attempt that counts."""
        return Attempt(self.trials_folder / result.trial.key, result.attempt).folder


def _remedy(folder: Path) -> str:
    """The study that was probably meant by the name of a folder without one."""
    known = [path.parent.name for path in folder.parent.glob("*/study.json")]
    return nearest(folder.name, known) if known else "`study launch` makes one"


def _config(folder: Path, manifest: Any) -> StudyConfig:
    try:
        return StudyConfig.model_validate_json(json.dumps(manifest["config"]))
    except (KeyError, TypeError, ValueError) as error:
        message = "study.json: is damaged, or of another version; restore it"
        raise RecordError(folder, [message]) from error


def write_durably(path: Path, text: str) -> None:
    """Replaces a file so that a crash at any moment leaves the old or the new content."""
    unfinished = path.with_name(f".{path.name}.tmp")
    with unfinished.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def _replace(path: Path, text: str) -> None:
    """Replaces a file whose loss would cost nothing but its being written again."""
    unfinished = path.with_name(f".{path.name}.tmp")
    unfinished.write_text(text)
    unfinished.replace(path)


def _trial(content: dict[str, Any]) -> Trial:
    return Trial(**{**content, "seeds": tuple(content["seeds"])})
