import pytest

from analysis.bound_gap import best_pairs, bound_gap, pair_gaps
from tests.analysis.studies import NAN, pair, tables_of, trial

KEY = trial()["key"]


def test_gap_and_tightness_of_one_pair_are_as_worked_by_hand():
    row = bound_gap(tables_of([trial()], bounds=[pair(KEY)])).set_index("bound").loc["t4"]
    assert row[["distance", "value", "gap"]].tolist() == [1.0, 2.0, 1.0]
    assert row[["relative_gap", "tightness"]].tolist() == [0.5, 0.5]
    assert row[["n", "pairs", "violations"]].tolist() == [1, 1, 0]
    assert row[["gap_low", "gap_high"]].isna().all()


def test_pairs_are_averaged_within_a_fold_before_folds_are():
    # Three pairs in one fold weigh as much as the single one in the other.
    bounds = [pair(KEY, second=n, distance=1.0) for n in (1, 2, 3)]
    bounds.append(pair(KEY, fold=1, distance=2.0))
    row = bound_gap(tables_of([trial()], bounds=bounds)).set_index("bound").loc["t4"]
    assert (row["n"], row["pairs"], row["distance"]) == (2, 4, 1.5)
    # t(0.975, 1) = 12.7062 and the deviation of 1 and 2 over sqrt(2) is 0.5.
    assert row["distance_low"] == pytest.approx(1.5 - 6.3531, abs=1e-4)


def test_rows_are_ordered_by_combination_phase_bound_and_size():
    better = trial(combination="mlp+sum+triplet", quality=0.9)
    confirmed = trial(phase="confirmation", seed=1)
    trials = [confirmed, trial(), better]
    bounds = [pair(row["key"], size=size) for row in trials for size in (5, 2)]
    rows = bound_gap(tables_of(trials, bounds=bounds))
    expected = [
        (combination, phase, bound, size)
        for combination, phase in [
            ("mlp+sum+triplet", "search"),
            ("mlp+mean+triplet", "search"),
            ("mlp+mean+triplet", "confirmation"),
        ]
        for bound in ("t4", "t1_prime", "t1")
        for size in (2, 5)
    ]
    columns = ["combination", "phase", "bound", "size"]
    assert list(rows[columns].itertuples(index=False, name=None)) == expected


def test_only_best_trials_and_their_complete_confirmations_are_measured():
    worse = trial(number=1, quality=0.1)
    failed = trial(phase="confirmation", seed=1, state="failed")
    other = trial(phase="confirmation", number=1, seed=2)
    trials = [trial(), worse, failed, other]
    tables = tables_of(trials, bounds=[pair(row["key"]) for row in trials])
    assert best_pairs(tables)["key"].tolist() == [KEY]


def test_uncovered_aggregators_have_no_rows():
    bounds = [pair(KEY, t1=NAN, t1_prime=NAN, t4=NAN)]
    assert bound_gap(tables_of([trial(coverage="uncovered")], bounds=bounds)).empty


@pytest.mark.parametrize(
    ("distance", "is_violated"), [(2.0, False), (2.0 + 1e-9, False), (2.0 + 3e-9, True)]
)
def test_a_violation_exceeds_the_bound_by_more_than_a_billionth_of_the_scale(distance, is_violated):
    pairs = tables_of([trial()], bounds=[pair(KEY, distance=distance, scale=2.0)]).bounds
    gaps = pair_gaps(pairs).set_index("bound")
    assert gaps.loc["t4", "is_violated"] == is_violated


def test_a_bound_met_exactly_is_tight_also_at_zero():
    pairs = tables_of([trial()], bounds=[pair(KEY, distance=0.0, t4=0.0)]).bounds
    assert pair_gaps(pairs).set_index("bound").loc["t4", "tightness"] == 1


def test_an_empty_study_has_an_empty_table():
    assert bound_gap(tables_of()).empty
