import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from analysis.intervals import mean_intervals


def test_the_interval_is_students():
    values = [0.2, 0.4, 0.9]
    frame = pd.DataFrame({"name": "a", "value": values})
    row = mean_intervals(frame, ["name"], ["value"]).iloc[0]
    half = t(2).ppf(0.975) * np.std(values, ddof=1) / np.sqrt(3)
    assert row["n"] == 3
    assert row["value_deviation"] == pytest.approx(np.std(values, ddof=1))
    assert row[["value", "value_low", "value_high"]].tolist() == pytest.approx(
        [0.5, 0.5 - half, 0.5 + half]
    )


def test_one_repeat_has_a_mean_and_no_interval():
    row = mean_intervals(pd.DataFrame({"name": ["a"], "value": [0.2]}), ["name"], ["value"]).iloc[0]
    assert row["value"] == 0.2
    assert row[["value_low", "value_high", "value_deviation"]].isna().all()


def test_missing_values_are_left_out():
    frame = pd.DataFrame({"name": "a", "value": [1.0, np.nan, 3.0]})
    row = mean_intervals(frame, ["name"], ["value"]).iloc[0]
    half = t(1).ppf(0.975) * np.sqrt(2) / np.sqrt(2)
    assert (row["value"], row["value_high"]) == pytest.approx((2, 2 + half))


def test_no_repeats_give_an_empty_table_with_all_columns():
    empty = pd.DataFrame({"name": pd.Series(dtype=str), "value": pd.Series(dtype=float)})
    means = mean_intervals(empty, ["name"], ["value"])
    assert list(means.columns) == [
        "name",
        "n",
        "value",
        "value_low",
        "value_high",
        "value_deviation",
    ]
    assert means.empty
