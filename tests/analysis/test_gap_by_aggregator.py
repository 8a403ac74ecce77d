import math

import numpy as np
import pytest
from scipy.stats import ttest_rel

from analysis.gap_by_aggregator import gap_by_aggregator
from tests.analysis.studies import tables_of, trial


def confirmed(gaps):
    """A study whose best trials have these relative gaps, by combination and seed."""
    return tables_of(
        [trial(combination=name) for name in gaps]
        + [
            trial(combination=name, phase="confirmation", seed=seed, relative_gap=gap)
            for name, values in gaps.items()
            for seed, gap in enumerate(values, start=1)
        ]
    )


def test_aggregators_are_compared_seed_by_seed_with_a_paired_interval():
    random = np.random.default_rng(0)
    mean, attention = random.normal(1, 0.1, 5), random.normal(1.5, 0.1, 5)
    found = gap_by_aggregator(
        confirmed({"mlp+mean+triplet": mean, "mlp+attention+triplet": attention})
    )
    (row,) = found.to_dict("records")
    assert (row["encoder"], row["loss"]) == ("mlp", "triplet")
    assert (row["larger"], row["smaller"], row["n"]) == ("attention", "mean", 5)
    interval = ttest_rel(attention, mean).confidence_interval()
    assert row["difference"] == pytest.approx((attention - mean).mean())
    assert row["difference_low"] == pytest.approx(interval.low)
    assert row["difference_high"] == pytest.approx(interval.high)


def test_only_combinations_that_differ_in_the_aggregator_alone_meet():
    found = gap_by_aggregator(
        confirmed(
            {
                "mlp+mean+triplet": [1.0, 1.1],
                "mlp+attention+triplet": [2.0, 2.2],
                "mlp+mean+infonce": [3.0, 3.1],
                "linear+max+infonce": [4.0, 4.1],
            }
        )
    )
    assert found[["encoder", "larger", "smaller", "loss"]].to_numpy().tolist() == [
        ["mlp", "attention", "mean", "triplet"]
    ]


def test_one_seed_has_no_interval_and_no_bound_no_row():
    gaps = {"mlp+mean+triplet": [1.0], "mlp+attention+triplet": [2.0], "mlp+max+triplet": [np.nan]}
    (row,) = gap_by_aggregator(confirmed(gaps)).to_dict("records")
    assert row["difference"] == pytest.approx(1.0)
    assert math.isnan(row["difference_low"])
    assert gap_by_aggregator(tables_of()).empty
