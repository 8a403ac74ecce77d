"""How many seeds it takes to show a difference of a stated size."""

import math
from bisect import bisect_left

import pandas as pd
from scipy.stats import chi2
from statsmodels.stats.power import TTestPower

LEVEL = 0.05
"""Share of false positives among all pairs of a study together."""

POWER = 0.8
"""Share of studies that are to show a difference that is there."""

STATED = 0.01
"""The difference in quality for which seeds are recommended: one point of a hundred."""

MOST = 1000
"""Seeds beyond which nobody goes."""


def recommended(pairs: pd.DataFrame, stated: float = STATED) -> pd.DataFrame:
    """Adds to each pair how many seeds a true difference of a stated size needs.

    The deviation of a pair is known from few seeds only; its 80% limit is planned with.

    Args:
        pairs: as from ``significance.pairs``.
        stated: the difference, in units of quality, above 0.

    Returns:
        ``pairs`` with ``seeds``, how many to take, ``MOST + 1`` for more than ``MOST``, and
        ``more_seeds``, how many of them are missing; missing where the deviation is.
    """
    known = pairs.dropna(subset="deviation")
    seeds = pd.Series(
        [
            seeds_needed(stated, deviation_limit(deviation, n), len(pairs))
            for deviation, n in zip(known["deviation"], known["n"], strict=True)
        ],
        index=known.index,
        dtype="Int64",
    ).reindex(pairs.index)
    return pairs.assign(seeds=seeds, more_seeds=(seeds - pairs["n"]).clip(lower=0))


def seeds_needed(difference: float, deviation: float, comparisons: int) -> int:
    """Seeds at which a paired t-test shows a true difference in 80% of studies.

    Every comparison is planned at the level ``0.05 / comparisons``, the strictest that Holm's
    correction may ask of it.

    Args:
        difference: true mean difference of two combinations, above 0.
        deviation: standard deviation of their paired differences, at least 0, in the same unit.
        comparisons: pairs that are tested together, at least 1.

    Returns:
        At least 2; ``MOST + 1`` stands for more than ``MOST``.
    """
    if deviation == 0:
        return 2

    def power(seeds: int) -> float:
        found = TTestPower().power(
            difference / deviation, seeds, LEVEL / comparisons / 2, alternative="larger"
        )
        # SciPy's noncentral t is NaN at single points of its far tail, where the power is 1.
        return 1.0 if math.isnan(found) else float(found)

    return bisect_left(range(MOST + 1), POWER, lo=2, key=power)


def deviation_limit(deviation: float, n: int) -> float:
    """What a deviation estimated from few seeds is at most, with 80% confidence.

    Seeds planned with the estimate itself are too few about half of the time; planned with this
    limit they are enough in four of five studies (Browne, 1995).

    Args:
        deviation: of the sample.
        n: size of the sample, at least 2.
    """
    return float(deviation * math.sqrt((n - 1) / chi2.ppf(1 - POWER, n - 1)))
