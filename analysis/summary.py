"""A study in a few numbers: how far it is, and why trials ended early."""

from typing import NamedTuple

import pandas as pd

from analysis.tables import StudyTables


class Summary(NamedTuple):
    """Trials of the search phase, counted.

    ``waiting`` are planned and not yet started; ``restarted``, of any phase, were continued
    after their process or the whole study had stopped.
    """

    planned: int
    complete: int
    pruned: int
    failed: int
    running: int
    waiting: int
    by_model: int
    at_random: int
    warm_started: int
    confirmations: int
    restarted: int


def summary(tables: StudyTables) -> Summary:
    """Counts the trials of a study by state and by who proposed them."""
    search = tables.trials[tables.trials["phase"] == "search"]
    states = search["state"].value_counts()
    proposals = search["proposed_by"].value_counts()
    return Summary(
        planned=tables.planned_trials,
        complete=int(states.get("complete", 0)),
        pruned=int(states.get("pruned", 0)),
        failed=int(states.get("failed", 0)),
        running=int(states.get("running", 0)),
        waiting=max(0, tables.planned_trials - len(search)),
        by_model=int(proposals.get("model", 0)),
        at_random=int(proposals.get("random", 0)),
        warm_started=int(proposals.get("warm_start", 0)),
        confirmations=int((tables.trials["phase"] == "confirmation").sum()),
        restarted=int((tables.trials["attempt"] > 1).sum()),
    )


def reasons(tables: StudyTables) -> pd.DataFrame:
    """Why trials of any phase failed or were pruned: failures first, then by frequency.

    Returns:
        Columns: ``state``; ``reason``; ``trials``, how many; ``combinations``, whose, in one text.
    """
    early = tables.trials[tables.trials["state"].isin(["failed", "pruned"])]
    grouped = early.groupby(["state", "reason"])["combination"]
    counted = grouped.agg(
        trials="size", combinations=lambda names: ", ".join(sorted(set(names)))
    ).reset_index()
    return counted.sort_values(["state", "trials"], ascending=[True, False], ignore_index=True)
