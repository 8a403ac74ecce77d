"""The study folder: the one truth about a study, written atomically and read back as tables.

::

    study.json                 configuration, digests, versions
    optuna.journal             one Optuna study per combination } unless they are
    lease.json                 which driver is at work          } in a database
    tracking                   the lock of the one writer to MLflow
    trials/KEY/trial.json      what was planned
    trials/KEY/attempt-N/      what a worker left: see ``trainables.recorded``
    trials/KEY/result.json     what counts: the outcome of one attempt, published by the driver
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, final

from study.addresses import reason
from study.config import StudyConfig
from study.errors import RecordError
from trainables import places
from trainables.attempt import Attempt, Outcome
from trainables.places import Place
from trainables.splits import LeakError
from trainables.tasks import Phase, TrialTask
from trainables.wording import nearest

UNREADABLE = (ValueError, KeyError, TypeError)


@final
@dataclass(frozen=True)
class Trial:
    """A planned trial.

    Args:
        key: names it everywhere, as ``mlp+mean+triplet-0007``.
        phase: of the study.
        combination: its label.
        number: within its combination, from 0; one that is based on another has the other's.
        seeds: one for each member.
        configuration: as ``Configuration.nested``.
        proposed_by: ``model``, ``random`` or ``warm_start``; empty outside the search.
        based_on: key of the search trial that is confirmed or compared with; empty for others.
        weights: see :class:`trainables.tasks.TrialTask`.
    """

    key: str
    phase: Phase
    combination: str
    number: int
    seeds: tuple[int, ...]
    configuration: dict[str, Any]
    proposed_by: str = ""
    based_on: str = ""
    weights: str = ""

    def task(self) -> TrialTask:
        """What a worker needs to run it."""
        return TrialTask(self.key, self.phase, self.configuration, self.seeds, self.weights)


@final
@dataclass(frozen=True)
class Result:
    """A published trial: what was planned, and the outcome of the attempt that counts.

    Args:
        trial: as it was planned.
        attempt: number of the attempt.
        outcome: of that attempt.
        order: how many results were published before; None where an earlier version published it.
    """

    trial: Trial
    attempt: int
    outcome: Outcome
    order: int | None = None


@final
class Record:
    """One study folder.

    Args:
        folder: an existing study folder.

    Raises:
        RecordError: if the folder holds no study.
    """

    guard: Callable[[], None]
    """Called before anything is planned or published; whoever needs a lease for that sets it."""

    def __init__(self, folder: Place) -> None:
        self.folder, self.guard = folder, _no_guard
        self._published: int | None = None
        try:
            self.manifest: dict[str, Any] = json.loads((folder / "study.json").read_bytes())
        except (FileNotFoundError, NotADirectoryError) as error:
            raise RecordError(folder, [f"holds no study; {_remedy(folder)}"]) from error
        except ValueError as error:
            raise RecordError(folder, ["study.json: is damaged; restore it"]) from error
        except Exception as error:  # whatever the client of an object store may raise
            raise RecordError(folder, [f"cannot be read: {reason(error)}"]) from error
        self.config, self.identity = _understood(folder, self.manifest)

    @classmethod
    def create(cls, folder: Place, manifest: Mapping[str, Any]) -> "Record":
        """Starts a record; gives the one there is where somebody was faster."""
        places.make(folder / "trials")
        places.create(folder / "study.json", json.dumps(manifest, indent=2).encode())
        return cls(folder)

    def extend(self, manifest: Mapping[str, Any]) -> "Record":
        """This record with configuration and combinations of another manifest."""
        grown = {name: manifest[name] for name in ("config", "combinations")}
        text = json.dumps({**self.manifest, **grown}, indent=2)
        places.replace(self.folder / "study.json", text.encode())
        return type(self)(self.folder)

    @property
    def trials_folder(self) -> Place:
        """Where workers leave their attempts."""
        return self.folder / "trials"

    @property
    def report_page(self) -> Place:
        """Where the report is, once it was written; its tables and figures lie beside it."""
        return self.folder / "report" / "report.html"

    def plan(self, trial: Trial) -> None:
        """Notes a trial before it is handed out."""
        self.guard()
        folder = self.trials_folder / trial.key
        places.make(folder)
        # Its loss would cost nothing but its being written again.
        text = json.dumps(vars(trial))
        places.replace(folder / "trial.json", text.encode(), is_durable=False)

    def publish(self, trial: Trial, number: int, outcome: Outcome) -> Result:
        """Makes the outcome of an attempt the one that counts.

        Raises:
            LeakError: if the search has read the test points.
        """
        self.guard()
        if trial.phase == "search" and any(name.startswith("test/") for name in outcome.metrics):
            raise LeakError(f"{trial.key}: a trial of the search must not read the test points")
        if self._published is None:
            self._published = len(self.results())
        result = Result(trial, number, outcome, self._published)
        text = json.dumps({**vars(result), "trial": vars(trial), "outcome": vars(outcome)})
        places.replace(self.trials_folder / trial.key / "result.json", text.encode())
        self._published += 1
        return result

    def trial(self, key: str) -> Trial | None:
        """A planned trial, or None."""
        return _planned(self._read(key, "trial.json"))

    def trials(self) -> list[Trial]:
        """Every planned trial, in order of its key."""
        found = places.contents(self.trials_folder, "trial.json").values()
        return [trial for text in found if (trial := _planned(text))]

    def result(self, key: str) -> Result | None:
        """The published result of a trial, or None."""
        return _result(self._read(key, "result.json"))

    def results(self) -> list[Result]:
        """Every published result, in order of its key."""
        found = places.contents(self.trials_folder, "result.json").values()
        return [result for text in found if (result := _result(text))]

    def _read(self, key: str, name: str) -> bytes:
        """The content of a trial's file; nothing if there is none."""
        try:
            return (self.trials_folder / key / name).read_bytes()
        except (FileNotFoundError, IsADirectoryError):
            return b""

    def publish_finished(self, trial: Trial) -> Result | None:
        """Publishes the attempt of a trial that came to its end, if one did."""
        finished = Attempt.finished(self.trials_folder / trial.key)
        if finished is None:
            return None
        attempt, outcome = finished
        return self.publish(trial, attempt.number, outcome)

    def files(self, result: Result) -> Place:
        """The folder with the files of the attempt that counts."""
        return Attempt(self.trials_folder / result.trial.key, result.attempt).folder


def _remedy(folder: Place) -> str:
    """The study that was probably meant by the name of a folder without one."""
    known = [path.parent.name for path in folder.parent.glob("*/study.json")]
    return nearest(folder.name, known) if known else "`study launch` makes one"


def _understood(folder: Place, manifest: Any) -> tuple[StudyConfig, str]:
    """Configuration and identity of a study."""
    try:
        config = StudyConfig.model_validate_json(json.dumps(manifest["config"]))
        return config, str(manifest["identity"])
    except (KeyError, TypeError, ValueError) as error:
        message = "study.json: is damaged, or of another version; restore it"
        raise RecordError(folder, [message]) from error


def _no_guard() -> None:
    """Lets everything pass."""


def _result(text: str | bytes) -> Result | None:
    """A result from its file; None if that is torn, or foreign."""
    try:
        content = json.loads(text)
        trial, outcome = _trial(content["trial"]), Outcome(**content["outcome"])
        return Result(trial, content["attempt"], outcome, content.get("order"))
    except UNREADABLE:
        return None


def _planned(text: str | bytes) -> Trial | None:
    """A planned trial from its file; None if that is torn, or foreign."""
    try:
        return _trial(json.loads(text))
    except UNREADABLE:
        return None


def _trial(content: dict[str, Any]) -> Trial:
    return Trial(**{**content, "seeds": tuple(content["seeds"])})
