import pandas as pd
import pytest

from analysis.leaderboard import best_trials, confirmations, leaderboard
from tests.analysis.studies import metric, tables_of, trial, unfinished

MEAN, MAX, SUM = "mlp+mean+triplet", "mlp+max+triplet", "mlp+sum+triplet"


def test_combinations_are_ranked_by_their_best_complete_trial():
    tables = tables_of(
        [
            trial(combination=MEAN, number=0, quality=0.6),
            trial(combination=MEAN, number=1, quality=0.8),
            trial(combination=MAX, number=0, quality=0.7, coverage="uncovered"),
        ]
    )
    board = leaderboard(tables)
    assert board["rank"].tolist() == [1, 2]
    assert board["combination"].tolist() == [MEAN, MAX]
    assert board["number"].tolist() == [1, 0]
    assert board["is_covered"].tolist() == [True, False]


@pytest.mark.parametrize(
    "other",
    [
        unfinished("pruned", number=1),
        trial(number=1, state="pruned", quality=0.9),
        trial(number=1, state="running", quality=0.9),
        trial(number=1, phase="confirmation", quality=0.9),
        trial(number=1, quality=float("nan")),
    ],
    ids=["pruned", "pruned with a value", "running", "confirmation", "without quality"],
)
def test_only_complete_search_trials_with_a_quality_are_ranked(other):
    assert leaderboard(tables_of([trial(), other]))["quality"].tolist() == [0.5]


def test_combinations_without_a_complete_trial_follow_without_a_rank():
    tables = tables_of([unfinished("failed", combination=MEAN), trial(combination=SUM)])
    board = leaderboard(tables)
    assert board["combination"].tolist() == [SUM, MEAN]
    assert board["rank"].isna().tolist() == [False, True]


def test_trials_are_counted_by_state():
    states = ["complete", "pruned", "pruned", "failed", "running"]
    trials = [trial(number=number, state=state) for number, state in enumerate(states)]
    row = leaderboard(tables_of(trials)).iloc[0]
    assert row[["complete", "pruned", "failed", "running"]].tolist() == [1, 2, 1, 1]


def test_equal_qualities_are_ordered_by_name_and_number():
    trials = [trial(combination=c, number=n) for c in (SUM, MEAN) for n in (1, 0)]
    best = best_trials(tables_of(trials))
    assert best[["combination", "number"]].to_numpy().tolist() == [[MEAN, 0], [SUM, 0]]


def test_bound_metrics_are_those_of_the_selected_bound_and_size():
    row = trial()
    metrics = [
        metric(row["key"], name, value)
        for name, value in [
            ("bound/t4_tightness.size5", 0.4),
            ("bound/t4_tightness.size2", 0.3),
            ("bound/t1_tightness.size5", 0.2),
            ("bound/m_star.size5", -3.0),
            ("bound/scale.size5", 2.0),
        ]
    ]
    shown = leaderboard(tables_of([row], metrics)).iloc[0]
    assert shown[["tightness", "m_star", "relative_m_star"]].tolist() == [0.4, -3.0, -1.5]


def test_test_quality_is_that_of_the_best_trials_own_confirmations():
    searched = [trial(number=0, quality=0.9), trial(number=1, quality=0.8)]
    confirmed = [trial(phase="confirmation", number=n, seed=s) for n in (0, 1) for s in (1, 2)]
    values = [0.7, 0.9, 0.95, 0.97]
    metrics = [
        metric(row["key"], "test/map_at_r.size5", value)
        for row, value in zip(confirmed, values, strict=True)
    ]
    tables = tables_of(searched + confirmed, metrics)
    row = leaderboard(tables).iloc[0]
    assert (row["confirmations"], row["test_quality"]) == (2, pytest.approx(0.8))
    # t(0.975, 1) = 12.7062 and the deviation of 0.7 and 0.9 over sqrt(2) is 0.1.
    assert row["test_quality_high"] == pytest.approx(0.8 + 1.27062, abs=1e-5)
    assert confirmations(tables)["number"].tolist() == [1, 0]


def test_failed_confirmations_do_not_count():
    confirmed = trial(phase="confirmation", seed=1, state="failed")
    metrics = [metric(confirmed["key"], "test/map_at_r.size5", 0.7)]
    assert confirmations(tables_of([trial(), confirmed], metrics)).empty


def test_an_empty_study_has_an_empty_leaderboard_with_the_same_columns(study):
    board = leaderboard(tables_of())
    assert board.empty
    pd.testing.assert_index_equal(board.columns, leaderboard(study).columns)
