import math

import numpy as np
import pytest
from scipy.stats import spearmanr

from analysis.gap_correlation import ALL, gap_correlation
from tests.analysis.studies import metric, tables_of, trial

MEAN, MAX = "mlp+mean+triplet", "mlp+max+triplet"


def trials(combination, qualities, gaps):
    return [
        trial(combination=combination, number=number, quality=quality, relative_gap=gap)
        for number, (quality, gap) in enumerate(zip(qualities, gaps, strict=True))
    ]


def with_quality(tables):
    found = gap_correlation(tables)
    return found[found["quantity"] == "quality"].reset_index(drop=True)


def test_the_correlation_is_that_of_ranks_with_fishers_interval():
    random = np.random.default_rng(0)
    qualities, gaps = random.random(30), random.lognormal(size=30)
    (row,) = with_quality(tables_of(trials(MEAN, qualities, gaps))).to_dict("records")
    rho = spearmanr(qualities, gaps).statistic
    half = 1.959963984540054 / math.sqrt(30 - 3)
    assert row["n"] == 30
    assert row["correlation"] == pytest.approx(rho)
    assert row["correlation_low"] == pytest.approx(math.tanh(math.atanh(rho) - half))
    assert row["correlation_high"] == pytest.approx(math.tanh(math.atanh(rho) + half))


def test_several_combinations_are_also_taken_together():
    better = trials(MEAN, [0.6, 0.7, 0.8, 0.9], [4.0, 3.0, 2.0, 1.0])
    worse = trials(MAX, [0.1, 0.2, 0.3, 0.4], [5.0, 6.0, 7.0, 8.0])
    found = with_quality(tables_of([*worse, *better]))
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
    (row,) = with_quality(tables_of(trials(MEAN, qualities, gaps))).to_dict("records")
    assert row["n"] == len(qualities)
    assert math.isnan(row["correlation"])
    assert math.isnan(row["correlation_low"])


def test_trials_without_a_gap_are_left_out():
    gap = [math.nan] * 4
    assert gap_correlation(tables_of(trials(MAX, [0.1, 0.2, 0.3, 0.4], gap))).empty
    assert gap_correlation(tables_of()).empty


@pytest.mark.parametrize(
    ("quantity", "parameter"),
    [("margin", "loss.triplet.margin"), ("group_size", "training.group_size")],
)
def test_the_gap_is_held_against_what_was_searched(quantity, parameter):
    rows = trials(MEAN, [0.5, 0.6, 0.7, 0.8], [1.0, 2.0, 3.0, 4.0])
    others = [(parameter + "_other", [1, 2, 3, 4]), (parameter, [2, 1, 4, 3])]
    parameters = [
        {"key": row["key"], "name": name, "value": str(value)}
        for name, values in others
        for row, value in zip(rows, values, strict=True)
    ]
    found = gap_correlation(tables_of(rows, parameters=parameters)).set_index("quantity")
    assert found.loc[quantity, "n"] == 4
    assert found.loc[quantity, "correlation"] == pytest.approx(0.6)
    assert len(found) == 2


def test_the_margin_reached_counts_in_units_of_the_scale():
    rows = trials(MEAN, [0.5, 0.6, 0.7, 0.8], [1.0, 2.0, 3.0, 4.0])
    margins, scales = [4.0, 2.0, 6.0, 1.0], [1.0, 1.0, 6.0, 2.0]
    metrics = [
        metric(row["key"], f"bound/{name}.size5", value)
        for name, values in (("m_star", margins), ("scale", scales))
        for row, value in zip(rows, values, strict=True)
    ]
    found = gap_correlation(tables_of(rows, metrics)).set_index("quantity")
    assert found.loc["relative_m_star", "correlation"] == pytest.approx(-1.0)
