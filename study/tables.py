"""A record as the tables of ``analysis.tables``."""

import json
import math
from dataclasses import replace

import pandas as pd

from analysis.leaderboard import best_runs
from analysis.tables import SCHEMAS, StudyTables, table
from study import products
from study.importance import importances
from study.legality import is_covered
from study.record import Record, Result, Trial
from trainables.attempt import numbers
from trainables.configuration import Configuration
from trainables.tasks import EXHIBITED, PREFIXES

FILES = {"bounds": "bounds", "maps": "map", "witnesses": "witness"}
"""Names of the tables of attempts, by those of the tables that all of them make up."""


def read_tables(record: Record, *, in_full: bool = True) -> StudyTables:
    """Everything a report needs to know of a study, finished or not.

    Args:
        record: of the study.
        in_full: whether the tables that take time are filled too: importances, pairs of groups of
            the best trials and their confirmations, and what models on the test points have left.

    Raises:
        RecordError: if a table of an attempt is damaged.
    """
    config = record.config
    results = {result.trial.key: result for result in record.results()}
    trials = record.trials()
    tables = StudyTables(
        name=config.name,
        quality_name=f"val/{config.protocol.quality_name}",
        gap_name=f"bound/{config.protocol.gap_name}",
        planned_trials=len(record.manifest["combinations"]) * config.budget.trials_per_combination,
        trials=table("trials", [_trial_row(record, t, results.get(t.key)) for t in trials]),
        parameters=table("parameters", [row for trial in trials for row in _parameters(trial)]),
        metrics=table("metrics", [row for key in results for row in _metrics(results[key])]),
        history=table("history", [row for key in results for row in _history(results[key])]),
        bounds=table("bounds", []),
        importances=table("importances", []),
        maps=table("maps", []),
        witnesses=table("witnesses", []),
    )
    return _filled(tables, record, results) if in_full else tables


def _filled(tables: StudyTables, record: Record, results: dict[str, Result]) -> StudyTables:
    best = [results[key] for key in best_runs(tables, "search", "confirmation")["key"]]
    on_test = [result for result in results.values() if result.trial.phase in EXHIBITED]
    return replace(
        tables,
        bounds=_joined(record, "bounds", best),
        importances=table("importances", importances(record.config, list(results.values()))),
        maps=_joined(record, "maps", on_test),
        witnesses=_joined(record, "witnesses", on_test),
    )


def _trial_row(record: Record, trial: Trial, result: Result | None) -> dict[str, object]:
    config = record.config
    encoder, aggregator, loss = trial.combination.split("+")
    outcome = result.outcome if result else None
    metrics = outcome.metrics if outcome else {}
    quality = f"{PREFIXES[trial.phase]}/{config.protocol.quality_name}"
    return {
        "key": trial.key,
        "phase": trial.phase,
        "combination": trial.combination,
        "encoder": encoder,
        "aggregator": aggregator,
        "loss": loss,
        "number": trial.number,
        "seed": trial.seeds[0],
        "state": outcome.state if outcome else "running",
        "reason": outcome.reason if outcome else "",
        "proposed_by": trial.proposed_by,
        "attempt": _attempt(record, trial, result),
        "coverage": "covered" if is_covered(aggregator) else "uncovered",
        "quality": metrics.get(quality, math.nan),
        "relative_gap": metrics.get(f"bound/{config.protocol.gap_name}", math.nan),
        "started": outcome.started if outcome else math.nan,
        "ended": outcome.ended if outcome else math.nan,
    }


def _attempt(record: Record, trial: Trial, result: Result | None) -> int:
    """The one that counts, or the newest: a trial that was lost was published with none."""
    known = result.attempt if result else 0
    return known or max(numbers(record.trials_folder / trial.key), default=0)


def _parameters(trial: Trial) -> list[dict[str, object]]:
    flat = Configuration.from_nested(trial.configuration).flat()
    return [{"key": trial.key, "name": name, "value": json.dumps(flat[name])} for name in flat]


def _metrics(result: Result) -> list[dict[str, object]]:
    metrics = result.outcome.metrics
    return [{"key": result.trial.key, "name": name, "value": metrics[name]} for name in metrics]


def _history(result: Result) -> list[dict[str, object]]:
    return [
        {"key": result.trial.key, "epoch": entry["epoch"], "name": name, "value": value}
        for entry in result.outcome.history
        for name, value in entry["metrics"].items()
    ]


def _joined(record: Record, name: str, results: list[Result]) -> pd.DataFrame:
    """One table of all complete trials that have left it."""
    found = []
    for result in results:
        if result.outcome.state != "complete":
            continue
        of_trial = products.table(record, result, FILES[name])
        if of_trial is not None:
            found.append(of_trial.to_pandas().assign(key=result.trial.key))
    if not found:
        return table(name, [])
    joined: pd.DataFrame = pd.concat(found, ignore_index=True)[SCHEMAS[name].names]
    return joined
