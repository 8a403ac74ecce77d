import pandas as pd
import pytest

from analysis.comparison import comparison, differing_metrics
from tests.analysis.studies import tables_of, trial, unfinished

MEAN, MAX, SUM = "mlp+mean+triplet", "mlp+max+triplet", "mlp+sum+triplet"


@pytest.fixture
def first():
    rows = [
        trial(combination=MEAN, quality=0.6, relative_gap=1.5),
        trial(combination=MAX, quality=0.7, relative_gap=float("nan")),
    ]
    return tables_of(rows, name="first")


@pytest.fixture
def second():
    rows = [
        trial(combination=MEAN, quality=0.9, relative_gap=0.5),
        unfinished("failed", combination=SUM),
    ]
    return tables_of(rows, name="second")


def test_combinations_of_all_studies_are_ordered_by_their_best_quality(first, second):
    pd.testing.assert_frame_equal(
        comparison([first, second]),
        pd.DataFrame(
            {
                "combination": [MEAN, MAX, SUM],
                "first/quality": [0.6, 0.7, None],
                "first/gap": [1.5, None, None],
                "second/quality": [0.9, None, None],
                "second/gap": [0.5, None, None],
            }
        ),
        check_dtype=False,
    )


def test_studies_without_trials_have_columns_of_their_own(first):
    board = comparison([first, tables_of(name="empty")])
    assert list(board["combination"]) == [MAX, MEAN]
    assert board["empty/quality"].isna().all()


def test_studies_of_the_same_metrics_do_not_differ(first, second):
    assert differing_metrics([first, second]) == {}


def test_studies_are_told_apart_by_the_metric_that_differs(first):
    other = tables_of(name="other", gap_name="bound/t1_relative_gap.size5")
    assert differing_metrics([first, other]) == {
        "bound/t4_relative_gap.size5": ["first"],
        "bound/t1_relative_gap.size5": ["other"],
    }
