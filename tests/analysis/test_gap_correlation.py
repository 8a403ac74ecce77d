import math

import numpy as np
import pytest
from scipy.stats import spearmanr

from analysis.gap_correlation import ALL, gap_correlation
from tests.analysis.studies import tables_of, trial

MEAN, MAX = "mlp+mean+triplet", "mlp+max+triplet"


def trials(combination, qualities, gaps):
    return [
        trial(combination=combination, number=number, quality=quality, relative_gap=gap)
        for number, (quality, gap) in enumerate(zip(qualities, gaps, strict=True))
    ]


def test_the_correlation_is_that_of_ranks_with_fishers_interval():
    random = np.random.default_rng(0)
    qualities, gaps = random.random(30), random.lognormal(size=30)
    (row,) = gap_correlation(tables_of(trials(MEAN, qualities, gaps))).to_dict("records")
    rho = spearmanr(qualities, gaps).statistic
    half = 1.959963984540054 / math.sqrt(30 - 3)
    assert row["n"] == 30
    assert row["correlation"] == pytest.approx(rho)
    assert row["correlation_low"] == pytest.approx(math.tanh(math.atanh(rho) - half))
    assert row["correlation_high"] == pytest.approx(math.tanh(math.atanh(rho) + half))


def test_several_combinations_are_also_taken_together():
    better = trials(MEAN, [0.6, 0.7, 0.8, 0.9], [4.0, 3.0, 2.0, 1.0])
    worse = trials(MAX, [0.1, 0.2, 0.3, 0.4], [5.0, 6.0, 7.0, 8.0])
    found = gap_correlation(tables_of([*worse, *better]))
    assert found["combination"].tolist() == [MEAN, MAX, ALL]
    assert found["n"].tolist() == [4, 4, 8]
    assert found["correlation"].tolist()[:2] == pytest.approx([-1.0, 1.0])
    assert -1 < found["correlation"][2] < 0


@pytest.mark.parametrize(
    ("qualities", "gaps"),
    [
        ([0.5, 0.6, 0.7], [3.0, 2.0, 1.0]),
        ([0.5, 0.5, 0.5, 0.5], [1.0, 2.0, 3.0, 4.0]),
        ([0.5, 0.6, 0.7, 0.8], [1.0, 1.0, 1.0, 1.0]),
    ],
    ids=["few", "one quality", "one gap"],
)
def test_what_cannot_be_said_is_missing(qualities, gaps):
    (row,) = gap_correlation(tables_of(trials(MEAN, qualities, gaps))).to_dict("records")
    assert row["n"] == len(qualities)
    assert math.isnan(row["correlation"])
    assert math.isnan(row["correlation_low"])


def test_trials_without_a_gap_are_left_out():
    gap = [math.nan] * 4
    assert gap_correlation(tables_of(trials(MAX, [0.1, 0.2, 0.3, 0.4], gap))).empty
    assert gap_correlation(tables_of()).empty
