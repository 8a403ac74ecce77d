"""Rows of faults as aligned lines, with their totals."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

COLUMNS = {
    "storage": "storage",
    "injected": "times",
    "planned": "planned",
    "complete": "complete",
    "pruned": "pruned",
    "failed": "failed",
    "lost": "lost",
    "left_running": "left running",
    "run_twice": "run twice",
    "metrics_missing": "metrics missing",
    "disagreements": "disagree",
    "seconds": "seconds",
}


def lines(rows: Iterable[dict[str, Any]]) -> list[str]:
    """One line for each fault, one with the totals, and the reasons of failures.

    Args:
        rows: each a ``stock.Row`` as a dict.
    """
    rows = [_counted(row) for row in rows]
    width = max(len(row["fault"]) for row in rows)
    head = " ".join([f"{'fault':<{width}}", *COLUMNS.values()])
    totals = Counter[str]()
    for row in rows:
        totals.update({name: row[name] for name in COLUMNS if name != "storage"})
    shown = [*sorted(rows, key=lambda row: row["fault"]), {**totals, "fault": "all"}]
    reasons = Counter(reason for row in rows for reason in row["reasons"])
    return [
        head,
        *(" ".join([f"{row['fault']:<{width}}", *_cells(row)]) for row in shown),
        *(f"failed x{count}: {reason}" for reason, count in reasons.most_common()),
    ]


def _counted(row: dict[str, Any]) -> dict[str, Any]:
    failed = len(row["failed"])
    return {
        **row,
        "reasons": row["failed"],
        "failed": failed,
        "lost": row["planned"] - row["complete"] - row["pruned"] - failed,
        "disagreements": len(row["disagreements"]),
        "seconds": round(row["seconds"]),
    }


def _cells(row: dict[str, Any]) -> list[str]:
    return [f"{row.get(name, ''):>{len(COLUMNS[name])}}" for name in COLUMNS]
