"""Whether trials of higher quality have smaller or larger gaps: rank correlation."""

import numpy as np
import pandas as pd
from scipy.stats import pearsonr, rankdata

from analysis.intervals import LEVEL
from analysis.leaderboard import best_trials, complete_trials
from analysis.tables import StudyTables

ALL = "all together"
FEWEST = 4
"""Trials below which a correlation has no interval."""


def gap_correlation(tables: StudyTables) -> pd.DataFrame:
    """Spearman's rank correlation of quality and relative gap over complete trials of the search.

    Its interval is Fisher's (1915), by his transformation of the correlation of ranks. Trials of a
    search are not independent - the sampler goes where quality was high - so the interval describes
    the trials that there are, and is no test.

    Returns:
        One row per combination, best first, and one of ``ALL`` where there are several. Columns:
        ``combination``; ``n``, trials with both values; ``correlation``, from -1 (the better, the
        smaller the gap) to 1, with its 95% interval in ``correlation_low`` and
        ``correlation_high``; NaN where fewer than four trials, or no two different values, are
        known. Combinations without a gap are left out.
    """
    known = complete_trials(tables).dropna(subset="relative_gap")
    of_each = {name: rows for name, rows in known.groupby("combination", sort=False)}
    ordered = [name for name in best_trials(tables)["combination"] if name in of_each]
    groups = {name: of_each[name] for name in ordered}
    if len(groups) > 1:
        groups[ALL] = known
    return pd.DataFrame(
        [{"combination": name, **_correlation(rows)} for name, rows in groups.items()],
        columns=["combination", "n", "correlation", "correlation_low", "correlation_high"],
    )


def _correlation(trials: pd.DataFrame) -> dict[str, float]:
    quality, gap = trials["quality"].to_numpy(), trials["relative_gap"].to_numpy()
    values = {"n": len(trials)} | dict.fromkeys(
        ("correlation", "correlation_low", "correlation_high"), np.nan
    )
    if len(trials) < FEWEST or np.ptp(quality) == 0 or np.ptp(gap) == 0:
        return values
    found = pearsonr(rankdata(quality), rankdata(gap))
    interval = found.confidence_interval(LEVEL)
    return values | {
        "correlation": float(found.statistic),
        "correlation_low": float(interval.low),
        "correlation_high": float(interval.high),
    }
