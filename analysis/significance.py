"""Which combinations differ on test data by more than seeds do: paired tests of every pair."""

import numpy as np
import pandas as pd
from scipy.stats import ttest_1samp
from statsmodels.stats.multitest import multipletests

from analysis.intervals import LEVEL as CONFIDENCE
from analysis.leaderboard import best_runs, metric
from analysis.metric_names import in_phase
from analysis.seeds_needed import LEVEL
from analysis.tables import StudyTables

ROUNDING = 1e-12
TOO_FEW = "not tested: fewer than two common seeds"
NO_SPREAD = "not tested: the same difference for every seed"
NOT_SHOWN = "no difference shown"
SHOWN = "different"


def repeated_qualities(tables: StudyTables) -> pd.DataFrame:
    """Test quality of the best trial of each combination, once for every fresh seed.

    The trial was chosen by validation, so its test quality owes nothing to the choice.

    Returns:
        As ``repeated`` of the selection metric on the test points.
    """
    return repeated(tables, metric(tables, in_phase(tables.quality_name, "test")))


def repeated(tables: StudyTables, values: pd.Series) -> pd.DataFrame:
    """One value of each confirmation of the best trials, so that seeds can be compared in pairs.

    Args:
        tables: the study.
        values: a value for the key of each confirmation; those that it lacks are not measured.

    Returns:
        One row per fresh seed, one column per combination, that of the highest mean first; NaN
        where a seed is not complete. Combinations without a value are left out.
    """
    rows = best_runs(tables, "confirmation")
    rows["value"] = rows["key"].map(values).astype(float)
    rows = rows.dropna(subset="value")
    found = rows.pivot(index="seed", columns="combination", values="value")
    order = found.mean().sort_values(ascending=False, kind="stable").index
    return found[order].rename_axis(columns=None)


def obstacle(qualities: pd.DataFrame) -> str:
    """Why no pair of combinations can be tested, as a sentence; empty where one can.

    Args:
        qualities: as from ``repeated_qualities``.
    """
    if qualities.shape[1] == 0:
        return "No combination is confirmed on test data yet."
    if qualities.shape[1] == 1:
        return f"Only {qualities.columns[0]} is confirmed: there is no pair to test yet."
    known = qualities.notna().to_numpy(int)
    if np.triu(known.T @ known, 1).max() < 2:
        return (
            "No two combinations are confirmed on the same two seeds yet; "
            "protocol.confirmation.seeds says how many they get."
        )
    return ""


def pairs(qualities: pd.DataFrame) -> pd.DataFrame:
    """Paired t-tests of all pairs of combinations, corrected together as Holm (1979) does.

    Test points and their division into groups are those of the study and no source of chance here:
    what varies is the seed, and what is concluded is about fresh seeds on these data, not about
    other data. No difference shown is not equality: the interval says which differences remain
    possible.

    Args:
        qualities: one row per seed, one column per combination; NaN where not measured.

    Returns:
        As from ``differences``, with two more columns: ``corrected_p``, and ``conclusion``, in
        words.
    """
    found = differences(qualities)
    # A pair that cannot be tested stays in the family, as one that shows nothing.
    corrected = multipletests(found["p"].fillna(1.0), method="holm")[1]
    tested = found["p"].notna()
    found["corrected_p"] = np.where(tested, corrected, np.nan)
    found["conclusion"] = np.where(found["n"] > 1, NO_SPREAD, TOO_FEW)
    found.loc[tested, "conclusion"] = np.where(corrected[tested] < LEVEL, SHOWN, NOT_SHOWN)
    return found


def differences(qualities: pd.DataFrame) -> pd.DataFrame:
    """Paired t-tests of all pairs of combinations, each for itself.

    A pair is made of two runs of the same seed: what it does to both cancels in the difference.
    Differences are taken to be roughly normal.

    Args:
        qualities: one row per seed, one column per combination; NaN where not measured.

    Returns:
        One row per pair, in the order of the columns. Columns: ``higher`` and ``lower``, the
        combinations by their mean over common seeds; ``n``, common seeds; ``difference``, mean
        of higher minus lower, with ``difference_low`` and ``difference_high``, its 95% t-interval
        for this pair alone; ``deviation`` of the differences; ``p``. What needs two common seeds is
        missing below that; differences that are equal for every seed have no ``p``.
    """
    found, by_seed = _by_seed(qualities)
    spread = by_seed.max() - by_seed.min()
    tested = found.index[(found["n"] > 1) & (spread > ROUNDING)]
    if len(tested):
        test = ttest_1samp(by_seed[tested], 0.0, nan_policy="omit")
        interval = test.confidence_interval(CONFIDENCE)
        found.loc[tested, "difference_low"] = interval.low
        found.loc[tested, "difference_high"] = interval.high
        found.loc[tested, "p"] = test.pvalue
    return found


def are_different(found: pd.DataFrame) -> set[frozenset[str]]:
    """The pairs of combinations that are shown to differ, from the table of ``pairs``."""
    shown = found[found["conclusion"] == SHOWN]
    return {frozenset(names) for names in zip(shown["higher"], shown["lower"], strict=True)}


def _by_seed(qualities: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A row for every pair without its test, and its differences as a column of that number."""
    values, names = qualities.to_numpy(float), qualities.columns.to_numpy()
    first, second = np.triu_indices(len(names), 1)
    by_seed = pd.DataFrame(values[:, first] - values[:, second])
    is_lower = by_seed.mean() < 0
    by_seed *= np.where(is_lower, -1, 1)
    found = pd.DataFrame(
        {
            "higher": names[np.where(is_lower, second, first)],
            "lower": names[np.where(is_lower, first, second)],
            "n": by_seed.count(),
            "difference": by_seed.mean(),
            "difference_low": np.nan,
            "difference_high": np.nan,
            "deviation": by_seed.std(),
            "p": np.nan,
        }
    )
    return found, by_seed
