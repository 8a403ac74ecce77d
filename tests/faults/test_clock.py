"""A clock that is a day behind when a study is launched again.

What a study knows of earlier times is what it has written down. The clock is everybody's, so all of
that is moved a day ahead instead: to whoever launches next, it comes from tomorrow.
"""

import json
import os
import sqlite3
from datetime import datetime, timedelta
from signal import SIGKILL
from typing import Any

import pytest

from tests.faults.level import every

pytestmark = [pytest.mark.ray, every]
DAY = timedelta(days=1)
MOMENTS = ("started", "ended", "time")
DATES = ("datetime_start", "datetime_complete")
MILLISECONDS = {"runs": ("start_time", "end_time"), "metrics": ("timestamp",)}


def ahead(content: Any) -> Any:
    """The same content of a file, with all times a day later."""
    if isinstance(content, list):
        return [ahead(entry) for entry in content]
    if not isinstance(content, dict):
        return content
    moved = {name: ahead(value) for name, value in content.items()}
    moved |= {name: content[name] + DAY.total_seconds() for name in MOMENTS if name in content}
    return moved | {
        name: (datetime.fromisoformat(content[name]) + DAY).isoformat()
        for name in DATES
        if content.get(name)
    }


def move_ahead(of) -> None:
    """Moves all times that a study, Optuna and MLflow have written down, and those of the files."""
    for name in ("result.json", "outcome.json"):
        for path in of.folder.rglob(name):
            path.write_text(json.dumps(ahead(json.loads(path.read_text()))))
    journal = of.folder / "optuna.journal"
    lines = [ahead(json.loads(line)) for line in journal.read_text().splitlines()]
    journal.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))
    connection = sqlite3.connect(of.folder.parent / "mlflow.db")
    with connection:
        for table, columns in MILLISECONDS.items():
            for column in columns:
                later = f"{column} = {column} + {1000 * DAY.total_seconds():.0f}"
                connection.execute(f"UPDATE {table} SET {later}")
    connection.close()
    for path in of.folder.rglob("*"):
        later = path.stat().st_mtime + DAY.total_seconds()
        os.utime(path, (later, later))


def test_a_clock_set_back_confuses_nobody(study, stock):
    of = study()
    of.launch_until(lambda: of.results >= 3, SIGKILL)
    move_ahead(of)
    ended = of.launch()
    assert ended.returncode == 0, ended.stderr
    results = [json.loads(path.read_text()) for path in of.folder.glob("trials/*/result.json")]
    begun = [result["outcome"]["started"] for result in results]
    assert max(begun) - min(begun) > DAY.total_seconds() / 2
    row = stock(of, "clock: a day back", 1)
    assert row.is_sound, row
    assert row.failed == ()
