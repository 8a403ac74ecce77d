"""What a fault has left of a study: record, Optuna and MLflow, compared trial by trial."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, final

import optuna
from optuna.storages.journal._storage import JournalOperation
from optuna.trial import FrozenTrial, TrialState

from study import confirmation
from study.record import Record, Result
from study.storage import open_storage, study_name
from tests.faults.tracked import Tracked, expected_points, tracked

STATES = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}
STATUS = {"complete": "FINISHED", "pruned": "FINISHED", "failed": "FAILED"}


@final
@dataclass(frozen=True)
class Row:
    """One fault, and what it has left.

    Args:
        fault: what happened.
        storage: where Optuna's studies are kept.
        injected: how often it happened.
        planned: trials of the search and confirmations that the study had to bring.
        complete, pruned: how many of them ended so.
        failed: reasons of the others that ended.
        left_running: runs in MLflow that have no end.
        run_twice: attempts after the one that counts, and trials told more than once.
        metrics_missing: values of the record that MLflow lacks.
        disagreements: of record, Optuna and MLflow about a trial.
        seconds: wall time of all launches.
    """

    fault: str
    storage: str
    injected: int
    planned: int
    complete: int
    pruned: int
    failed: tuple[str, ...]
    left_running: int
    run_twice: int
    metrics_missing: int
    disagreements: tuple[str, ...]
    seconds: float = 0.0

    @property
    def lost(self) -> int:
        """Trials without a result."""
        return self.planned - self.complete - self.pruned - len(self.failed)

    @property
    def is_sound(self) -> bool:
        """Whether every trial ended once, and all three tell the same."""
        wrong = (self.left_running, self.run_twice, self.metrics_missing, self.disagreements)
        return not any(wrong) and self.lost == 0


def take_stock(record: Record, fault: str, injected: int, uri: str | None = None) -> Row:
    """Counts what there is of a study that no driver works on.

    Args:
        record: of the study.
        fault: what happened to it.
        injected: how often.
        uri: database behind MLflow; by default the file beside the study.
    """
    results = {result.trial.key: result for result in record.results()}
    states = Counter(result.outcome.state for result in results.values())
    known, proposed = tracked(record, uri), _proposed(record)
    return Row(
        fault=fault,
        storage="PostgreSQL" if record.config.storage.database else "journal",
        injected=injected,
        planned=_planned(record, list(results.values())),
        complete=states["complete"],
        pruned=states["pruned"],
        failed=tuple(r.outcome.reason for r in results.values() if r.outcome.state == "failed"),
        left_running=sum(
            run.status in ("RUNNING", "SCHEDULED") for runs in known.values() for run in runs
        ),
        run_twice=sum(map(_repeated, _attempts(record, results))) + _told_again(record),
        metrics_missing=sum(
            len(expected_points(results[key]) - run.points)
            for key in results
            for run in known.get(key, [Tracked("", "", frozenset())])
        ),
        disagreements=(
            *_in_optuna(record, results, proposed),
            *_in_mlflow(record, results, known),
        ),
    )


def _planned(record: Record, results: list[Result]) -> int:
    labels, budget = record.manifest["combinations"], record.config.budget
    tested = confirmation.plan_all(record.config, labels, results)
    return len(labels) * budget.trials_per_combination + len(tested)


def _attempts(
    record: Record, results: dict[str, Result]
) -> Iterator[tuple[int, list[int], list[int]]]:
    """Of each result the number of its attempt, all numbers there are, and those of the ended."""
    for key, result in results.items():
        folders = {
            int(folder.name.removeprefix("attempt-")): folder
            for folder in (record.trials_folder / key).glob("attempt-*")
        }
        whole = [number for number in folders if (folders[number] / "outcome.json").exists()]
        yield result.attempt, list(folders), whole


def _repeated(attempts: tuple[int, list[int], list[int]]) -> int:
    """Attempts that were not needed. Of a trial given up none counts, so none may have ended."""
    counting, begun, whole = attempts
    return sum(number > counting for number in begun) if counting else len(whole)


def _told_again(record: Record) -> int:
    """How often a journal holds that a trial ended, which it had before; a database forgets."""
    path = record.folder / "optuna.journal"
    lines = path.read_text().splitlines() if path.exists() else []
    ends = [entry["trial_id"] for entry in map(json.loads, lines) if _is_end(entry)]
    return len(ends) - len(set(ends))


def _is_end(entry: dict[str, Any]) -> bool:
    is_state = entry["op_code"] == JournalOperation.SET_TRIAL_STATE_VALUES
    return is_state and TrialState(entry["state"]).is_finished()


def _proposed(record: Record) -> dict[str, FrozenTrial]:
    """Optuna's trials by the keys that the record gives them."""
    storage, found = open_storage(record), {}
    for label in record.manifest["combinations"]:
        study = optuna.load_study(study_name=study_name(record, label), storage=storage)
        found |= {f"{label}-{trial.number:04d}": trial for trial in study.get_trials()}
    return found


def _in_optuna(
    record: Record, results: dict[str, Result], proposed: dict[str, FrozenTrial]
) -> Iterator[str]:
    searched = {key: r.outcome for key, r in results.items() if r.trial.phase == "search"}
    for key in sorted(searched.keys() | proposed.keys()):
        outcome, trial = searched.get(key), proposed.get(key)
        told = STATES.get(trial.state, "unfinished") if trial else "unknown"
        state = outcome.state if outcome else "unknown"
        if told != state:
            yield f"{key}: {state} in the record, {told} in Optuna"
        elif outcome and trial and state == "complete":
            quality = outcome.metrics[f"val/{record.config.protocol.quality_name}"]
            if trial.values[0] != quality:
                yield f"{key}: {quality} in the record, {trial.values[0]} in Optuna"


def _in_mlflow(
    record: Record, results: dict[str, Result], known: dict[str, list[Tracked]]
) -> Iterator[str]:
    name = record.config.name
    if len(known.get(name, [])) != 1:
        yield f"{name}: {len(known.get(name, []))} runs of the study in MLflow"
    for key in sorted(known.keys() - results.keys() - {name}):
        yield f"{key}: without a result, but in MLflow"
    for key, result in results.items():
        runs, state = known.get(key, []), result.outcome.state
        if len(runs) != 1:
            yield f"{key}: {len(runs)} runs in MLflow"
        for run in runs:
            if (run.state, run.status) != (state, STATUS[state]):
                yield f"{key}: {state} in the record, {run.state} and {run.status} in MLflow"
            if run.points - expected_points(result):
                yield f"{key}: values in MLflow that the record does not have"
