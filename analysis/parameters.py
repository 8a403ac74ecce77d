"""Values of searched parameters beside the quality they led to."""

import json
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.leaderboard import best_trials, complete_trials
from analysis.metric_names import in_words
from analysis.tables import StudyTables

WIDE = 20.0
"""Largest over smallest value, from which on an axis is logarithmic."""


class OfLeader(NamedTuple):
    """Complete trials of the best combination, empty without one; ``quality`` is in words.

    ``trials`` has ``quality``, and a column for each parameter; the best trial comes last.
    """

    quality: str
    combination: str
    trials: pd.DataFrame


def of_leader(tables: StudyTables, most: int) -> OfLeader:
    """Quality and parameters of the best combination's trials.

    Args:
        tables: of the study.
        most: parameters at most, the most important ones.
    """
    best = best_trials(tables)
    leader = str(best["combination"].iloc[0]) if len(best) else ""
    trials = searched(tables, leader)
    return OfLeader(in_words(tables.quality_name), leader, trials[trials.columns[: most + 1]])


def searched(tables: StudyTables, combination: str) -> pd.DataFrame:
    """Parameters of the complete trials of a combination that differ between them.

    Args:
        tables: of the study.
        combination: one of its labels.

    Returns:
        One row per trial, by quality, ascending: ``quality``, then a column for each parameter,
        those of most importance first; None or NaN where a trial lacks it.
    """
    trials = complete_trials(tables)
    trials = trials[trials["combination"] == combination].sort_values("quality", kind="stable")
    texts = _texts(tables, trials["key"])
    differing = [name for name in texts.columns if texts[name].nunique(dropna=False) > 1]
    known = tables.importances[tables.importances["combination"] == combination]
    importance = known.set_index("name")["importance"]
    order = sorted(differing, key=lambda name: (-importance.get(name, 0.0), name))
    values = _read(texts[order])
    values.insert(0, "quality", trials["quality"].to_numpy())
    return values


def of_trials(tables: StudyTables, keys: pd.Series) -> pd.DataFrame:
    """All parameters of trials: a row for each key, in that order, and a column for each name."""
    return _read(_texts(tables, keys))


def _texts(tables: StudyTables, keys: pd.Series) -> pd.DataFrame:
    named = tables.parameters[tables.parameters["key"].isin(keys)]
    return named.pivot(index="key", columns="name", values="value").reindex(keys)


def _read(texts: pd.DataFrame) -> pd.DataFrame:
    values = texts.map(lambda text: json.loads(text) if isinstance(text, str) else None)
    return values.reset_index(drop=True)


def is_numeric(values: pd.Series) -> bool:
    """Whether a parameter has numbers only, so that an axis can carry it; some may be missing."""
    known = values.dropna()
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in known)


def is_wide(values: pd.Series) -> bool:
    """Whether the numbers of a parameter are best shown on a logarithmic axis."""
    return bool(values.min() > 0 and values.max() / values.min() >= WIDE)


def places(values: pd.Series) -> tuple[np.ndarray, dict[float, str]]:
    """Where values lie on an axis from 0 to 1, and labels along it.

    Numbers lie by their size, or by its logarithm where they are wide; anything else side by side.
    """
    if not is_numeric(values):
        names = sorted({str(value) for value in values})
        steps = np.linspace(0, 1, len(names)) if len(names) > 1 else np.array([0.5])
        of_name = dict(zip(names, steps, strict=True))
        return np.array([of_name[str(v)] for v in values]), {p: n for n, p in of_name.items()}
    numbers = values.astype(float)
    scaled = np.log(numbers) if is_wide(numbers) else numbers
    low, high = scaled.min(), scaled.max()
    if low == high:
        return np.full(len(values), 0.5), {0.5: f"{numbers.iloc[0]:.3g}"}
    ends = {0.0: f"{numbers.min():.3g}", 1.0: f"{numbers.max():.3g}"}
    return np.asarray((scaled - low) / (high - low)), ends
