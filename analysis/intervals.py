"""Means over repeats with Student's 95% confidence intervals."""

import pandas as pd
from scipy.special import stdtrit

LEVEL = 0.95


def mean_intervals(frame: pd.DataFrame, by: list[str], quantities: list[str]) -> pd.DataFrame:
    """Mean of each quantity over the rows of each group, with its 95% t-interval.

    ``mean ± t(0.975, n - 1) s / sqrt(n)`` with the sample deviation ``s`` (Student, 1908). It
    assumes independent, roughly normal repeats. NaN values are left out; a single value has no
    interval.

    Args:
        frame: one row per repeat.
        by: columns that name a group.
        quantities: columns to average, each in its own unit.

    Returns:
        One row per group in order of appearance. Columns: ``by``; ``n``, repeats; and for each
        quantity ``q``, in its unit, ``q``, the mean, ``q_low`` and ``q_high``, and
        ``q_deviation``, that of the sample; NaN below two values.
    """
    grouped = frame.groupby(by, sort=False)
    counts = grouped[quantities].count()
    means, deviations = grouped[quantities].mean(), grouped[quantities].std()
    # Below two values there is no deviation, so the NaN of zero degrees of freedom is never read.
    quantiles = stdtrit(counts.clip(lower=2).to_numpy() - 1, (1 + LEVEL) / 2)
    half = deviations * quantiles / counts.clip(lower=1) ** 0.5
    columns = {"n": grouped.size()}
    for quantity in quantities:
        columns[quantity] = means[quantity]
        columns[f"{quantity}_low"] = means[quantity] - half[quantity]
        columns[f"{quantity}_high"] = means[quantity] + half[quantity]
        columns[f"{quantity}_deviation"] = deviations[quantity]
    return pd.DataFrame(columns).reset_index()
