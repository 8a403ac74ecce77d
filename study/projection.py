"""What a study and its trials become in MLflow, as plain values; pure functions of the record."""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, final

from study import confirmation, notes
from study.milestones import Point, milestones, settled
from study.record import Record, Result, Trial
from trainables.configuration import Configuration

VERSION = 1
"""Raise it when the same record shall look different in MLflow: every run is written anew."""

LONGEST_PARAMETER = 6000
LONGEST_TAG = 5000
PARTS = ("encoder", "aggregator", "loss")
STATUS = {"complete": "FINISHED", "pruned": "FINISHED", "failed": "FAILED"}


@final
@dataclass(frozen=True)
class Projection:
    """One MLflow run.

    Args:
        key: finds the run again; also its name.
        below: key of the run it hangs under; empty for the study's own.
        status: as MLflow has it.
        started, ended: Unix milliseconds; the latter None while something is still to come.
        parameters: by flat name.
        points: of all metrics; NaN where a study's best trial lacks a value.
        tags: besides those that identify the run.
    """

    key: str
    below: str
    status: str
    started: int
    ended: int | None
    parameters: dict[str, str]
    points: list[Point]
    tags: dict[str, str]

    @cached_property
    def digest(self) -> str:
        """Differs where anything that is projected does."""
        projected = {field.name: getattr(self, field.name) for field in fields(self)}
        content = json.dumps([VERSION, projected], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:32]


def of_trial(record: Record, result: Result) -> Projection:
    """The run of a published trial; one that is based on another hangs below it."""
    trial, outcome = result.trial, result.outcome
    parameters, points = _parameters(trial), _points(result)
    values = {name: _text(value) for name, value in parameters.items()}
    left_out = [name for name, value in values.items() if len(value) > LONGEST_PARAMETER]
    left_out += sorted({point.name for point in points if not math.isfinite(point.value)})
    return Projection(
        key=trial.key,
        below=trial.based_on or record.config.name,
        status=STATUS[outcome.state],
        started=_milliseconds(outcome.started),
        # A clock may have been set back meanwhile.
        ended=_milliseconds(max(outcome.started, outcome.ended)),
        parameters={name: value for name, value in values.items() if name not in left_out},
        points=[point for point in points if math.isfinite(point.value)],
        tags=_tags(
            {
                "combination": trial.combination,
                **dict(zip(PARTS, trial.combination.split("+"), strict=True)),
                "phase": trial.phase,
                "based_on": trial.based_on,
                "number": trial.number,
                "seeds": " ".join(map(str, trial.seeds)),
                "state": outcome.state,
                "reason": outcome.reason,
                "proposed_by": trial.proposed_by,
                "attempt": result.attempt,
                "left_out": " ".join(left_out),
                **{f"execution.{name}": value for name, value in outcome.execution.items()},
                notes.TAG: notes.of_trial(record, result),
            }
        ),
    )


def _parameters(trial: Trial) -> dict[str, Any]:
    """Hyperparameters by flat name; where nothing is trained, those of the model."""
    flat = Configuration.from_nested(trial.configuration).flat()
    if trial.phase != "untrained":
        return flat
    return {name: flat[name] for name in flat if name.startswith(("encoder.", "aggregator."))}


def of_study(record: Record, results: list[Result], *, is_at_work: bool) -> Projection:
    """The run above all others: how far the study is, and the best of each combination.

    Args:
        record: of the study.
        results: all that the record has.
        is_at_work: whether a driver will add to it.
    """
    config = record.config
    began = (record.folder / "study.json").stat().st_mtime
    started = min((result.outcome.started for result in results), default=began)
    ended = max((result.outcome.ended for result in results), default=started)
    whole = is_whole(record, results)
    return Projection(
        key=config.name,
        below="",
        status="RUNNING" if is_at_work else "FINISHED" if whole else "KILLED",
        started=_milliseconds(started),
        ended=None if is_at_work else _milliseconds(ended),
        parameters={},
        points=milestones(record, settled(results) if is_at_work else results),
        tags=_tags(
            {
                "phase": "study",
                **_counts(record, results),
                "is_whole": whole,
                notes.TAG: notes.of_study(record, results),
            }
        ),
    )


def _counts(record: Record, results: list[Result]) -> dict[str, Any]:
    combinations, budget = record.manifest["combinations"], record.config.budget
    states: Counter[str] = Counter(result.outcome.state for result in results)
    phases = Counter(result.trial.phase for result in results)
    return {
        "combinations": " ".join(combinations),
        "quality": record.config.protocol.quality_name,
        "planned": len(combinations) * budget.trials_per_combination,
        "done": phases["search"],
        "confirmations": phases["confirmation"],
        **{state: states[state] for state in STATUS},
    }


def is_whole(record: Record, results: list[Result]) -> bool:
    """Whether every planned trial of the search, and all that is read on the test, has a result."""
    config, labels = record.config, record.manifest["combinations"]
    searched = Counter(r.trial.combination for r in results if r.trial.phase == "search")
    if any(searched[label] < config.budget.trials_per_combination for label in labels):
        return False
    known = {result.trial.key for result in results}
    return all(trial.key in known for trial in confirmation.plan_all(config, labels, results))


def _points(result: Result) -> list[Point]:
    """Validations by epoch, then final metrics at the last of them."""
    outcome = result.outcome
    points = [
        Point(name, value, _milliseconds(entry["time"]), entry["epoch"])
        for entry in outcome.history
        for name, value in entry["metrics"].items()
    ]
    # With the time and step of the last validation, a metric that both have is the same point.
    last = outcome.history[-1] if outcome.history else {}
    ended, epoch = _milliseconds(last.get("time", outcome.ended)), last.get("epoch", 0)
    points += [Point(name, value, ended, epoch) for name, value in outcome.metrics.items()]
    return list(dict.fromkeys(points))


def _tags(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: text[:LONGEST_TAG] for name in values if (text := _text(values[name]))}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _milliseconds(seconds: float) -> int:
    return round(1000 * seconds)
