import numpy as np
import pandas as pd
import pytest
from scipy.stats import friedmanchisquare

from analysis.across_studies import (
    across_studies,
    confirmed_qualities,
    critical_difference,
    obstacle,
)
from tests.analysis.studies import confirmed, tables_of

MEAN, MAX, SUM = "mlp+mean+triplet", "mlp+max+triplet", "mlp+sum+triplet"


def qualities_of(rows, names="abcdefghij"):
    return pd.DataFrame(rows, columns=list(names[: len(rows[0])]))


def test_only_combinations_that_every_study_has_confirmed_are_compared():
    one = confirmed({MEAN: [0.5, 0.75], MAX: [0.25]}, name="one")
    two = confirmed({SUM: [0.9], MEAN: [0.125]}, name="two")
    found = confirmed_qualities([one, two])
    assert found.to_dict() == {MEAN: {"one": 0.625, "two": 0.125}}


@pytest.mark.parametrize(
    ("studies", "names", "reason"),
    [
        (1, [MEAN, MAX, SUM], "needs at least 2 studies, got 1"),
        (2, [MEAN, MAX], "needs at least 3 combinations that every study has confirmed"),
        (2, [MEAN, MAX, SUM], ""),
    ],
)
def test_too_little_to_rank_is_said(studies, names, reason):
    tables = [confirmed({n: [0.5] for n in names}, name=str(place)) for place in range(studies)]
    assert obstacle(confirmed_qualities(tables)).startswith(reason)
    assert bool(obstacle(confirmed_qualities(tables))) == bool(reason)


def test_studies_without_confirmations_are_too_little():
    empty = [tables_of(name="one"), tables_of(name="two")]
    assert obstacle(confirmed_qualities(empty)).endswith("found 0")


# Demšar (2006), table 5 (a): quantiles of the studentised range, divided by the root of two.
@pytest.mark.parametrize(("k", "quantile"), [(3, 2.343), (4, 2.569), (5, 2.728), (10, 3.164)])
def test_the_critical_difference_is_that_of_demsar(k, quantile):
    assert critical_difference(k, 14) == pytest.approx(
        quantile * np.sqrt(k * (k + 1) / (6 * 14)), abs=1e-3
    )


def test_ranks_are_taken_within_a_study_whatever_its_scale():
    found = across_studies(qualities_of([[0.1, 0.3, 0.2], [80, 90, 70], [5, 7, 6]]))
    assert found.mean_ranks.to_dict() == pytest.approx({"b": 1, "c": 7 / 3, "a": 8 / 3})
    assert found.p == pytest.approx(friedmanchisquare([1, 2, 1], [3, 3, 3], [2, 1, 2]).pvalue)


def test_the_same_order_in_enough_studies_tells_first_and_last_apart():
    found = across_studies(qualities_of([[0.9, 0.8, 0.7]] * 4))
    # Friedman's statistic is 4 (3 - 1) = 8, its p exp(-4); Nemenyi's distance is 1.66.
    assert found.p == pytest.approx(np.exp(-4))
    assert found.critical_difference == pytest.approx(2.3437 * np.sqrt(12 / 24), abs=1e-4)
    assert found.together == [("a", "b"), ("b", "c")]


def test_without_friedmans_rejection_nobody_is_told_apart():
    found = across_studies(qualities_of([[0.9, 0.8, 0.7]] * 2))
    assert found.p > 0.05
    assert found.together == [("a", "b", "c")]


def test_studies_in_which_all_are_equal_tell_nobody_apart():
    found = across_studies(qualities_of([[1.0, 1.0, 1.0]] * 3))
    assert (found.p, found.together) == (1.0, [("a", "b", "c")])
