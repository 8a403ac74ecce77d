"""What the gap goes with - quality, margins, group size: rank correlations over the trials."""

import json

import numpy as np
import pandas as pd
from scipy.stats import pearsonr, rankdata

from analysis.intervals import LEVEL
from analysis.leaderboard import best_trials, complete_trials, metric
from analysis.metric_names import beside
from analysis.tables import StudyTables

ALL = "all together"
FEWEST = 4
"""Trials below which a correlation has no interval."""
WITH = {
    "quality": "quality",
    "relative_m_star": "m* reached",
    "margin": "margin of the loss",
    "group_size": "group size in training",
}
"""What the gap is held against, and its words."""


def gap_correlation(tables: StudyTables) -> pd.DataFrame:
    """Spearman's rank correlation of the relative gap with quality, m*, margin and group size.

    The trials are the complete ones of the search. The interval is Fisher's (1915), by his
    transformation of the correlation of ranks. Trials of a search are not independent - the
    sampler goes where quality was high - so it describes the trials that there are, and is no test.

    Returns:
        Rows in the order of ``WITH``, and for each of them one per combination, best first, and one
        of ``ALL`` where there are several. Columns: ``quantity``, a key of ``WITH``;
        ``combination``; ``n``, trials with both values; ``correlation``, from -1 (the larger the
        quantity, the smaller the gap) to 1, with its 95% interval in ``correlation_low`` and
        ``correlation_high``; NaN where fewer than four trials, or no two different values, are
        known. Combinations without a gap or without the quantity are left out.
    """
    trials = _quantities(tables)
    ranking = list(best_trials(tables)["combination"])
    return pd.DataFrame(
        [
            {"quantity": quantity, "combination": name, **_correlation(rows, quantity)}
            for quantity in WITH
            for name, rows in _groups(trials.dropna(subset=quantity), ranking).items()
        ],
        columns=[
            "quantity",
            "combination",
            "n",
            "correlation",
            "correlation_low",
            "correlation_high",
        ],
    )


def _quantities(tables: StudyTables) -> pd.DataFrame:
    """Complete trials with a gap; a column for each quantity, NaN where a trial has none."""
    trials = complete_trials(tables).dropna(subset="relative_gap")
    m_star, scale = (
        trials["key"].map(metric(tables, beside(tables.gap_name, name))).astype(float)
        for name in ("m_star", "scale")
    )
    parameters = tables.parameters
    searched = {
        name: parameters[parameters["name"].str.fullmatch(pattern)].set_index("key")["value"]
        for name, pattern in (
            ("margin", r"loss\.[^.]+\.margin"),
            ("group_size", r"training\.group_size"),
        )
    }
    return trials.assign(
        relative_m_star=m_star / scale,
        **{
            name: trials["key"].map(values.map(json.loads)).astype(float)
            for name, values in searched.items()
        },
    )


def _groups(trials: pd.DataFrame, ranking: list[str]) -> dict[str, pd.DataFrame]:
    of_each = {str(name): rows for name, rows in trials.groupby("combination")}
    groups = {name: of_each[name] for name in ranking if name in of_each}
    return groups | {ALL: trials} if len(groups) > 1 else groups


def _correlation(trials: pd.DataFrame, quantity: str) -> dict[str, float]:
    held_against, gap = trials[quantity].to_numpy(), trials["relative_gap"].to_numpy()
    values = {"n": len(trials)} | dict.fromkeys(
        ("correlation", "correlation_low", "correlation_high"), np.nan
    )
    if len(trials) < FEWEST or np.ptp(held_against) == 0 or np.ptp(gap) == 0:
        return values
    found = pearsonr(rankdata(held_against), rankdata(gap))
    interval = found.confidence_interval(LEVEL)
    return values | {
        "correlation": float(found.statistic),
        "correlation_low": float(interval.low),
        "correlation_high": float(interval.high),
    }
