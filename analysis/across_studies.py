"""Whether combinations keep their ranks from one data set to the next."""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import friedmanchisquare, studentized_range

from analysis.ranking import mean_ranks, runs
from analysis.seeds_needed import LEVEL
from analysis.significance import repeated_qualities
from analysis.tables import StudyTables

FEWEST_STUDIES, FEWEST_COMBINATIONS = 2, 3


class AcrossStudies(NamedTuple):
    """Ranks of the combinations that every study has confirmed.

    ``mean_ranks`` over studies, best first; ``p`` of Friedman's test that all combinations rank
    alike; ``critical_difference``, the difference in mean rank above which Nemenyi's test tells two
    combinations apart; ``together``, longest runs of combinations that are not told apart.
    """

    studies: tuple[str, ...]
    mean_ranks: pd.Series
    p: float
    critical_difference: float
    together: list[tuple[str, ...]]


def confirmed_qualities(studies: Sequence[StudyTables]) -> pd.DataFrame:
    """Mean test quality over seeds: one row per study, one column per combination of all."""
    means = {study.name: repeated_qualities(study).mean() for study in studies}
    return pd.DataFrame(means).T.dropna(axis="columns")


def obstacle(qualities: pd.DataFrame) -> str:
    """Why studies cannot be ranked across, in words; empty where they can."""
    studies, combinations = qualities.shape
    if studies < FEWEST_STUDIES:
        return f"needs at least {FEWEST_STUDIES} studies, got {studies}"
    if combinations < FEWEST_COMBINATIONS:
        return (
            f"needs at least {FEWEST_COMBINATIONS} combinations that every study has confirmed "
            f"on test data, found {combinations}"
        )
    return ""


def across_studies(qualities: pd.DataFrame) -> AcrossStudies:
    """Friedman's test over studies and Nemenyi's of all pairs, as in Demšar (2006), section 3.2.

    Only ranks within a study count, so studies may differ in metric and difficulty. Each study is
    one observation: they should be of different data sets. Nemenyi's test is read only where
    Friedman's rejects at 5%. Both are approximations for many studies; with two or three of them
    they show only what is the same in all.

    Args:
        qualities: as from ``confirmed_qualities``, without an ``obstacle``.
    """
    names = list(qualities.columns)
    ranks = mean_ranks(qualities)
    is_tied = (qualities.nunique(axis="columns") == 1).all()
    p = 1.0 if is_tied else float(friedmanchisquare(*(qualities[name] for name in names)).pvalue)
    distance = critical_difference(len(names), len(qualities))

    def differ(first: str, second: str) -> bool:
        return p < LEVEL and abs(ranks[first] - ranks[second]) > distance

    return AcrossStudies(
        tuple(qualities.index), ranks, p, distance, runs(list(ranks.index), differ)
    )


@cache
def critical_difference(combinations: int, studies: int) -> float:
    """Nemenyi's distance of mean ranks at 5%: ``q sqrt(k (k + 1) / (6 n))``, Demšar (2006).

    ``q`` is the quantile of the studentised range of ``k`` combinations, divided by the root of 2;
    ``n`` are the studies.
    """
    quantile = studentized_range.ppf(1 - LEVEL, combinations, np.inf) / np.sqrt(2)
    return float(quantile * np.sqrt(combinations * (combinations + 1) / (6 * studies)))
