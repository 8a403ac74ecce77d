import math

import pytest

from analysis.tables import RAW
from analysis.training_gain import raw_quality, training_gain
from tests.analysis.studies import metric, tables_of, trial

MEAN, MAX = "mlp+mean+triplet", "mlp+max+triplet"
QUALITY = "test/map_at_r.size5"


def read(phase, suffix, quality, combination=MEAN, **values):
    """A trial that is read on the test points, and its metric."""
    row = trial(combination=combination, phase=phase, proposed_by="", **values)
    row["key"] = f"{combination}-0000-{suffix}"
    return row, metric(row["key"], QUALITY, quality)


def study(*rows, metrics=(), combinations=(MEAN,)):
    searched = [trial(combination=combination) for combination in combinations]
    trials, found = zip(*rows, strict=True) if rows else ((), ())
    return tables_of([*searched, *trials], [*found, *metrics])


def test_a_trained_model_is_compared_with_what_it_began_as():
    rows = [
        read("confirmation", "confirm-1", 0.8, seed=11),
        read("confirmation", "confirm-2", 0.9, seed=12),
        read("untrained", "untrained-1", 0.5, seed=11),
        read("untrained", "untrained-2", 0.3, seed=12),
    ]
    (row,) = training_gain(study(*rows)).to_dict("records")
    assert (row["combination"], row["n"]) == (MEAN, 2)
    assert (row["trained"], row["untrained"]) == pytest.approx((0.85, 0.4))
    assert row["gain"] == pytest.approx(0.45)
    half = 12.706204736432095 * 0.15  # t(0.975, 1) times the standard error of 0.3 and 0.6
    assert row["gain_high"] - row["gain"] == pytest.approx(half)


def test_the_models_of_the_folds_stand_beside_it():
    rows = [
        read("untrained", "untrained-1", 0.5, seed=11),
        read("ensemble", "ensemble", 0.7),
    ]
    together = metric(f"{MEAN}-0000-ensemble", "concatenated/map_at_r.size5", 0.75)
    (row,) = training_gain(study(*rows, metrics=[together])).to_dict("records")
    assert (row["separate"], row["concatenated"]) == (0.7, 0.75)
    assert math.isnan(row["trained"])
    assert math.isnan(row["gain"])


def test_combinations_come_in_the_order_of_the_leaderboard_if_they_have_a_twin():
    rows = [
        read("untrained", "untrained-1", 0.5, MEAN, seed=11),
        read("untrained", "untrained-1", 0.6, MAX, seed=11),
    ]
    others = ("mlp+sum+triplet", MEAN, MAX)
    assert training_gain(study(*rows, combinations=others))["combination"].tolist() == [MAX, MEAN]


def test_a_study_without_baselines_has_an_empty_table_and_no_raw_quality():
    assert training_gain(study()).empty
    assert math.isnan(raw_quality(study()))


def test_raw_points_are_read_once():
    assert raw_quality(study(metrics=[metric(RAW, QUALITY, 0.25)])) == 0.25
