"""How much larger the gap is with one aggregator than with another, all else equal."""

import pandas as pd

from analysis.leaderboard import best_runs
from analysis.significance import differences, repeated
from analysis.tables import StudyTables

ALIKE = ["encoder", "loss"]
COLUMNS = ["n", "difference", "difference_low", "difference_high"]


def gap_by_aggregator(tables: StudyTables) -> pd.DataFrame:
    """Differences of the relative gap between aggregators with the same encoder and loss.

    The best trials are compared on the test points, seed by seed; their other hyperparameters were
    searched for each combination by itself and may differ.

    Returns:
        One row per pair of aggregators that have a bound, in the order of encoders and losses.
        Columns: ``encoder``; ``loss``; ``larger`` and ``smaller``, the aggregators by their mean
        gap; ``n``, common seeds; ``difference`` of their relative gaps, dimensionless, with its
        95% t-interval in ``difference_low`` and ``difference_high``, NaN for a single seed.
    """
    runs = best_runs(tables, "confirmation")
    gaps = repeated(tables, runs.set_index("key")["relative_gap"])
    blocks = [
        _differences(gaps, block)
        for _, block in runs[runs["combination"].isin(gaps)].groupby(ALIKE)
    ]
    columns = [*ALIKE, "larger", "smaller", *COLUMNS]
    found = [block for block in blocks if len(block)]
    return pd.concat(found, ignore_index=True)[columns] if found else pd.DataFrame(columns=columns)


def _differences(gaps: pd.DataFrame, block: pd.DataFrame) -> pd.DataFrame:
    aggregators = dict(zip(block["combination"], block["aggregator"], strict=True))
    alike = gaps[[name for name in gaps if name in aggregators]].rename(columns=aggregators)
    if alike.shape[1] < 2:
        return pd.DataFrame()
    found = differences(alike).rename(columns={"higher": "larger", "lower": "smaller"})
    return found.assign(**block[ALIKE].iloc[0])
