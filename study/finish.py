"""What a study says of itself in a terminal, while it runs and when it ends."""

import time
from dataclasses import dataclass
from typing import final

import pandas as pd

from analysis.leaderboard import complete_trials, leaderboard
from analysis.pace import pace
from analysis.summary import reasons, summary
from analysis.tables import StudyTables
from analysis.training_gain import raw_quality, training_gain
from study import lease
from study.addresses import without_secrets
from study.command import command
from study.confirmation import planned_trials
from study.duration import duration
from study.export import export
from study.record import Record
from study.tables import read_tables

REASONS_SHOWN = 5
COLUMNS = {
    "validation": "quality",
    "test": "test_quality",
    "+- 95%": "half",
    "untrained": "untrained",
    "gap": "relative_gap",
}


@final
@dataclass(frozen=True)
class Finished:
    """The closing lines of a study, and how many of its trials failed."""

    text: str
    failed: int


def finish(record: Record) -> Finished:
    """Writes the export of a study, and says what it found and where everything is."""
    tables = read_tables(record, in_full=False)
    lines = [_headline(tables), "", _board(tables), *_failures(tables), ""]
    lines += [f"report   {record.report_page}"]
    if not complete_trials(tables).empty:
        export(record, record.folder / "export")
        lines += [f"export   {record.folder / 'export'}"]
    lines += [f"MLflow   {_tracked(record)}"]
    return Finished("\n".join(lines), int((tables.trials["state"] == "failed").sum()))


def status(record: Record) -> str:
    """How far a study is, whether or not a driver is at work on it."""
    tables = read_tables(record, in_full=False)
    at_work = _at_work(record, tables)
    return "\n".join([f"{_headline(tables)}; {at_work}", "", _board(tables), *_failures(tables)])


def headline(record: Record) -> str:
    """The same in one line."""
    tables = read_tables(record, in_full=False)
    return f"{_headline(tables)}; {_at_work(record, tables)}"


def _at_work(record: Record, tables: StudyTables) -> str:
    """Whether there is a driver, and how fast it is."""
    if not lease.is_held(record):
        return "no driver is at work"
    found = pace(
        tables, planned_trials(record.config, len(record.manifest["combinations"])), time.time()
    )
    if found is None:
        return "a driver is at work"
    return (
        f"a driver is at work, {found.per_minute:.3g} trials a minute, about "
        f"{duration(found.seconds_left)} left"
    )


def _tracked(record: Record) -> str:
    """Where the study can be seen in MLflow."""
    uri = record.config.tracking.uri
    return without_secrets(uri) if uri else command("ui", "--root", record.folder.parent)


def _headline(tables: StudyTables) -> str:
    counts = summary(tables)
    states = ", ".join(
        f"{getattr(counts, state)} {state}"
        for state in ("complete", "pruned", "failed", "running", "waiting")
        if getattr(counts, state)
    )
    warm_started = f", {counts.warm_started} by a warm start" if counts.warm_started else ""
    restarted = f"; {counts.restarted} continued after a stop" if counts.restarted else ""
    return (
        f"study {tables.name}: {counts.planned} trials: {states}; {counts.by_model} proposed by "
        f"the model, {counts.at_random} at random{warm_started}; "
        f"{counts.confirmations} confirmations{restarted}"
    )


def _board(tables: StudyTables) -> str:
    """The best configuration of each combination, best first, as aligned columns."""
    ranked = leaderboard(tables).merge(
        training_gain(tables)[["combination", "untrained"]], on="combination", how="left"
    )
    ranked["half"] = (ranked["test_quality_high"] - ranked["test_quality_low"]) / 2
    width = max([len("combination"), *ranked["combination"].str.len()])
    heads = "".join(f"{head:>11}" for head in COLUMNS)
    lines = [f"{'combination':<{width}} {heads}  best trial"]
    for row in ranked.to_dict("records"):
        key = "no complete trial" if pd.isna(row["key"]) else row["key"]
        cells = "".join(f"{_number(row[column]):>11}" for column in COLUMNS.values())
        lines.append(f"{row['combination']:<{width}} {cells}  {key}")
    return "\n".join([*lines, *_legend(tables)])


def _legend(tables: StudyTables) -> list[str]:
    quality, gap = (name.split("/")[1] for name in (tables.quality_name, tables.gap_name))
    raw = raw_quality(tables)
    of_raw = "" if pd.isna(raw) else f"; raw points without a model: {_number(raw)}"
    return [f"(validation, test, untrained: {quality}; gap: {gap}{of_raw})"]


def _failures(tables: StudyTables) -> list[str]:
    failed = reasons(tables)
    failed = failed[failed["state"] == "failed"]
    shown = [
        f"failed x{row.trials}: {row.reason} ({row.combinations})"
        for row in failed.head(REASONS_SHOWN).itertuples()
    ]
    return ["", *shown] if shown else []


def _number(value: float) -> str:
    return "-" if pd.isna(value) else f"{value:.4f}"
