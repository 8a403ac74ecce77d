import numpy as np
import pandas as pd
import pytest

from analysis.parameters import is_numeric, is_wide, places, searched
from tests.analysis.studies import parameter, tables_of, trial, unfinished


def test_only_complete_trials_of_the_combination_are_read():
    rows = [trial(number=0), trial(number=1), unfinished("failed", number=2)]
    rows.append(trial(combination="mlp+max+triplet"))
    given = [parameter(row["key"], "rate", n) for n, row in enumerate(rows)]
    found = searched(tables_of(rows, parameters=given), "mlp+mean+triplet")
    assert found["rate"].tolist() == [0, 1]


def test_a_parameter_that_a_trial_lacks_is_missing():
    rows = [trial(number=n) for n in range(3)]
    given = [parameter(row["key"], "rate", n) for n, row in enumerate(rows[:2])]
    found = searched(tables_of(rows, parameters=given), "mlp+mean+triplet")
    assert found["rate"].isna().tolist() == [False, False, True]
    assert is_numeric(found["rate"])
    at, _ = places(found["rate"])
    assert at[:2].tolist() == [0, 1]
    assert np.isnan(at[2])


@pytest.mark.parametrize(
    ("values", "numeric"),
    [([1, 2.5], True), ([True, False], False), (["a", "b"], False), ([1, None], True)],
)
def test_numbers_are_told_from_choices(values, numeric):
    assert is_numeric(pd.Series(values, dtype=object)) == numeric


@pytest.mark.parametrize(("values", "wide"), [([1, 19], False), ([1, 20], True), ([0, 99], False)])
def test_a_wide_range_is_positive_and_twenty_times_its_start(values, wide):
    assert is_wide(pd.Series(values)) == wide


@pytest.mark.parametrize(
    ("values", "at", "labels"),
    [
        ([2, 4, 3], [0, 1, 0.5], {0.0: "2", 1.0: "4"}),
        ([0.01, 1.0, 0.1], [0, 1, 0.5], {0.0: "0.01", 1.0: "1"}),
        (["b", "a"], [1, 0], {0.0: "a", 1.0: "b"}),
        ([3, 3], [0.5, 0.5], {0.5: "3"}),
    ],
)
def test_values_have_their_places_on_an_axis(values, at, labels):
    found, named = places(pd.Series(values))
    assert found.tolist() == pytest.approx(at)
    assert named == labels
