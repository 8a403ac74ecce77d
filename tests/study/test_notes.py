"""What runs say of themselves, as a reader of MLflow's pages sees it."""

from dataclasses import replace

import pytest

from study import notes
from study.markdown import plain
from tests.study import finished_studies

SEARCHED = "mlp+mean+triplet-0001"


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    return finished_studies.copy(tmp_path_factory.mktemp("noted"))


def test_a_trial_says_what_it_is_and_what_it_came_to(record):
    result = record.result(SEARCHED)
    quality = result.outcome.metrics["val/map_at_r.size3"]
    gap = result.outcome.metrics["bound/t4_relative_gap.size3"]
    assert notes.of_trial(record, result) == (
        r"**mlp\+mean\+triplet**: trial 1 of the search, drawn at random - complete"
        f"\n\nvalidation MAP@R of groups of 3 points {quality:.4f}, "
        f"T4 relative gap of groups of 3 points {gap:.4f}"
    )


@pytest.mark.parametrize(
    ("suffix", "said"),
    [
        ("confirm-1", "trained again on seed"),
        ("ensemble", "the models of the folds of"),
        ("untrained-1", "before training, with seed"),
    ],
)
def test_what_was_read_on_the_test_points_says_so(record, suffix, said):
    note = notes.of_trial(record, record.result(f"{SEARCHED}-{suffix}"))
    assert said in note
    assert "\n\ntest MAP@R of groups of 3 points 0." in note


def test_raw_points_are_called_so(record):
    note = notes.of_trial(record, record.result("identity+mean+untrained"))
    assert note.startswith("The mean of the raw points without a model")


def test_a_failure_is_told_with_its_reason_and_without_its_markup(record):
    result = record.result(SEARCHED)
    failed = replace(result.outcome, state="failed", reason="<img src=x> *broke*", metrics={})
    note = notes.of_trial(record, replace(result, outcome=failed))
    assert note.endswith(r"- failed: &lt;img src=x&gt; \*broke\*")


def test_a_study_tells_its_counts_and_its_best_with_intervals(record):
    note = notes.of_study(record, record.results())
    best = max(
        (record.result(f"{name}-0001") for name in ("mlp+mean+triplet", "mlp+attention+triplet")),
        key=lambda result: result.outcome.metrics["val/map_at_r.size3"],
    )
    assert note.startswith("**tiny**: 2 combinations of encoder, aggregator and loss; 11 of 11")
    assert "9 complete, 2 pruned, 0 failed" in note
    assert f"Best on validation: **{plain(best.trial.combination)}**" in note
    assert note.count("(n = 1)") == 2
    assert "`study export tiny`" in note


def test_seeds_have_an_interval(record):
    confirmed = record.result(f"{SEARCHED}-confirm-1")
    name = "test/map_at_r.size3"
    seeds = [
        replace(
            confirmed,
            trial=replace(confirmed.trial, key=f"{SEARCHED}-confirm-{n}"),
            outcome=replace(confirmed.outcome, metrics={name: value}),
        )
        for n, value in enumerate((0.4, 0.5, 0.6), start=1)
    ]
    others = [r for r in record.results() if r.trial.phase == "search"]
    # t(0.975, 2) = 4.3027; 0.1 / sqrt(3) = 0.0577
    assert r"0.5000 \[0.2516, 0.7484\] (n = 3)" in notes.of_study(record, [*others, *seeds])


def test_a_study_without_results_says_that_nothing_has_ended(record):
    note = notes.of_study(record, [])
    assert "0 of 11 trials have ended" in note
    assert "Best on validation" not in note


def test_a_study_of_many_combinations_has_a_note_that_mlflow_takes(record):
    result = record.result(SEARCHED)
    trials = [
        replace(result, trial=replace(result.trial, combination=f"mlp+mean+loss{n}", key=f"k{n}"))
        for n in range(200)
    ]
    note = notes.of_study(record, trials)
    assert len(note) < 5000
    assert "180 more in the report" in note
