from functools import cache
from math import ceil

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t
from statsmodels.stats.power import TTestPower

from analysis.seeds_needed import MOST, deviation_limit, recommended, seeds_needed
from analysis.significance import pairs

NAN = float("nan")


@pytest.mark.parametrize(
    ("difference", "deviation", "comparisons", "seeds"),
    [
        (0.01, 0.005, 1, 5),
        (0.01, 0.01, 1, 10),
        (0.005, 0.01, 1, 34),
        (0.005, 0.01, 66, 77),
    ],
)
def test_the_number_is_the_first_that_reaches_the_power(difference, deviation, comparisons, seeds):
    assert seeds_needed(difference, deviation, comparisons) == seeds
    powers = [
        TTestPower().power(difference / deviation, n, 0.05 / comparisons)
        for n in (seeds - 1, seeds)
    ]
    assert powers[0] < 0.8 <= powers[1]


def test_more_spread_and_more_comparisons_never_need_fewer_seeds():
    by_spread = [seeds_needed(0.01, spread, 3) for spread in np.geomspace(1e-9, 0.2, 60)]
    by_pairs = [seeds_needed(0.01, 0.008, count) for count in (1, 3, 10, 66, 435)]
    assert by_spread == sorted(by_spread)
    assert by_pairs == sorted(by_pairs)


def test_without_spread_two_seeds_do():
    assert seeds_needed(0.01, 0.0, 1) == 2


def test_what_nobody_would_train_is_more_than_the_most():
    assert seeds_needed(0.001, 0.5, 1) == MOST + 1


def test_the_limit_of_a_deviation_is_kept_in_four_of_five_samples():
    samples = np.random.default_rng(0).normal(0, 2, (4000, 4))
    limits = [deviation_limit(deviation, 4) for deviation in samples.std(axis=1, ddof=1)]
    assert np.mean(np.array(limits) > 2) == pytest.approx(0.8, abs=0.02)


@cache
def planned(percent):
    return seeds_needed(1.0, percent / 100, 1)


@pytest.mark.parametrize("seen", [3, 5])
@pytest.mark.parametrize("spread", [0.5, 1.0])
def test_seeds_planned_from_few_seen_ones_show_the_difference_in_at_least_80_percent(seen, spread):
    random = np.random.default_rng(seen)
    deviations = random.normal(1, spread, (1000, seen)).std(axis=1, ddof=1)
    # In steps of 5%, so that few plans are made.
    seeds = [planned(5 * ceil(20 * deviation_limit(deviation, seen))) for deviation in deviations]
    samples = [random.normal(1, spread, n) for n in seeds]
    ratios = [sample.mean() / sample.std(ddof=1) * len(sample) ** 0.5 for sample in samples]
    assert np.mean(np.array(ratios) > t.ppf(0.975, np.array(seeds) - 1)) >= 0.8


def test_seeds_are_recommended_for_each_pair_and_the_missing_ones_counted():
    found = pairs(pd.DataFrame({"a": [0.5, 0.7, 0.9], "b": [0.4, 0.5, 0.6], "c": [0.5, NAN, NAN]}))
    few, many = (recommended(found, stated).set_index(["higher", "lower"]) for stated in (1.0, 0.1))
    limit = deviation_limit(0.1, 3)
    assert few.loc[("a", "b"), "seeds"] == seeds_needed(1.0, limit, 3) == 4
    assert few.loc[("a", "b"), "more_seeds"] == 1
    assert many.loc[("a", "b"), "seeds"] == seeds_needed(0.1, limit, 3) == 50
    assert many[["seeds", "more_seeds"]].isna().all(axis=1).tolist() == [False, True, True]


def test_seeds_that_are_enough_miss_none():
    found = pairs(pd.DataFrame({"a": [0.5, 0.7, 0.9], "b": [0.5, 0.7001, 0.9]}))
    assert recommended(found, 1.0)["more_seeds"].tolist() == [0]
