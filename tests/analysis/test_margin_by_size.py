import math

import pytest

from analysis.margin_by_size import QUANTITIES, margin_by_size
from tests.analysis.studies import metric, tables_of, trial

MEAN, MAX = "mlp+mean+triplet", "mlp+max+triplet"


def confirmed(combination, seed, values):
    """A confirmation, and its bound metrics by size."""
    row = trial(combination=combination, phase="confirmation", seed=seed, proposed_by="")
    found = [
        metric(row["key"], f"bound/{name}.size{size}", value)
        for size, quantities in values.items()
        for name, value in quantities.items()
    ]
    return row, found


def study(*runs, qualities):
    rows, metrics = zip(*runs, strict=True) if runs else ((), ())
    searched = [trial(combination=name, quality=quality) for name, quality in qualities.items()]
    return tables_of([*searched, *rows], [value for of_run in metrics for value in of_run])


def test_lengths_are_in_units_of_the_scale_and_averaged_over_seeds():
    one = {"m_star": 1.0, "distance": 2.0, "best": 4.0, "best_gap": 2.0, "scale": 2.0}
    two = {"m_star": 3.0, "distance": 2.0, "best": 8.0, "best_gap": 6.0, "scale": 4.0}
    shares = {"best_tightness": 0.5, "certified": 0.25}
    runs = [confirmed(MEAN, 1, {5: one | shares}), confirmed(MEAN, 2, {5: two | shares})]
    (row,) = margin_by_size(study(*runs, qualities={MEAN: 0.5})).to_dict("records")
    assert (row["combination"], row["size"], row["n"]) == (MEAN, 5, 2)
    expected = {"m_star": 0.625, "distance": 0.75, "best": 2.0, "best_gap": 1.25}
    assert {name: row[name] for name in QUANTITIES} == pytest.approx(
        expected | {"best_tightness": 0.5, "certified": 0.25}
    )
    half = 12.706204736432095 * 0.125  # t(0.975, 1) times the standard error of 0.5 and 0.75
    assert row["m_star_high"] - row["m_star"] == pytest.approx(half)


def test_rows_are_ordered_by_combination_best_first_and_size():
    sizes = {size: {"m_star": 1.0, "scale": 1.0} for size in (10, 2, 5)}
    runs = [confirmed(MAX, 1, sizes), confirmed(MEAN, 1, sizes)]
    found = margin_by_size(study(*runs, qualities={MAX: 0.4, MEAN: 0.6}))
    assert found["combination"].tolist() == [MEAN] * 3 + [MAX] * 3
    assert found["size"].tolist() == [2, 5, 10, 2, 5, 10]


def test_an_uncovered_aggregator_has_a_margin_and_no_bound():
    runs = [confirmed(MAX, 1, {5: {"m_star": 1.0, "distance": 0.5, "scale": 2.0}})]
    (row,) = margin_by_size(study(*runs, qualities={MAX: 0.5})).to_dict("records")
    assert (row["m_star"], row["distance"]) == (0.5, 0.25)
    assert math.isnan(row["best_gap"])
    assert math.isnan(row["certified"])


def test_nothing_is_said_of_what_is_not_confirmed():
    assert margin_by_size(study(qualities={MEAN: 0.5})).empty
