"""The closing words of a finished study, and what is said of one that is not."""

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from study.finish import REASONS_SHOWN, finish, headline, status
from study.lease import Lease
from study.watch import watch
from tests.study import finished_studies
from tests.study.finished_studies import TESTED

NAMES = ["mlp+attention+triplet", "mlp+mean+triplet"]
FIRST = "mlp+mean+triplet-0001"


@pytest.fixture(scope="module")
def closed(tmp_path_factory):
    """A finished study and its closing lines."""
    record = finished_studies.copy(tmp_path_factory.mktemp("closed"))
    return record, finish(record)


def fail(record, *numbers, reason="its process died"):
    """Adds trials that failed."""
    result = record.result(FIRST)
    for number in numbers:
        trial = replace(result.trial, key=f"mlp+mean+triplet-{number:04d}", number=number)
        outcome = replace(result.outcome, state="failed", reason=reason, metrics={}, history=[])
        record.plan(trial)
        record.publish(trial, 0, outcome)


def figures(record, name):
    """Figures of the only complete trial of a combination, as shown; one seed has no interval."""
    searched, confirmed, untrained = (
        record.result(f"{name}-0001{suffix}").outcome.metrics
        for suffix in ("", "-confirm-1", "-untrained-1")
    )
    found = [
        searched["val/map_at_r.size3"],
        confirmed["test/map_at_r.size3"],
        untrained["test/map_at_r.size3"],
        searched["bound/t4_relative_gap.size3"],
    ]
    validation, *others = [f"{value:.4f}" for value in found]
    return [validation, others[0], "-", *others[1:]]


def test_the_first_line_counts_trials_by_state_and_by_who_proposed_them(closed):
    assert closed[1].text.splitlines()[0] == (
        "study tiny: 4 trials: 2 complete, 2 pruned; 0 proposed by the model, 4 at random; "
        "2 confirmations"
    )


def test_the_best_of_every_combination_is_named_with_quality_and_gap(closed):
    record, finished = closed
    table = finished.text.split("\n\n")[1].splitlines()
    heads = "combination validation test +- 95% untrained gap best trial"
    assert table[0].split() == heads.split()
    rows = [line.split() for line in table[1:3]]
    assert sorted(rows) == [[name, *figures(record, name), f"{name}-0001"] for name in NAMES]
    assert rows[0][1] >= rows[1][1]
    raw = record.result("identity+mean+untrained").outcome.metrics["test/map_at_r.size3"]
    assert table[3] == (
        "(validation, test, untrained: map_at_r.size3; gap: t4_relative_gap.size3; "
        f"raw points without a model: {raw:.4f})"
    )


def test_columns_of_figures_end_below_their_headings(closed):
    head, *rows = closed[1].text.split("\n\n")[1].splitlines()[:3]
    for heading in ("validation", "test", "untrained", "gap"):
        end = head.index(heading) + len(heading)
        assert {row[end - 1].isdigit() and row[end] == " " for row in rows} == {True}


def test_the_last_lines_say_where_everything_is_and_it_is_there(closed):
    record, finished = closed
    places = dict(line.split(maxsplit=1) for line in finished.text.splitlines()[-3:])
    assert places == {
        "report": str(record.folder / "report" / "report.html"),
        "export": str(record.folder / "export"),
        "MLflow": f"study ui --root {record.folder.parent}",
    }
    assert {path.name for path in (record.folder / "export").iterdir()} == {*NAMES, "best"}


def test_a_study_without_failures_counts_none(closed):
    assert closed[1].failed == 0
    assert "failed" not in closed[1].text


def test_a_tracking_address_is_told_without_its_user(tmp_path):
    uri = "http://someone@localhost:5000"
    text = finish(finished_studies.copy(tmp_path, uri, phase="nothing")).text
    assert text.splitlines()[-1] == "MLflow   http://localhost:5000"


def test_a_study_in_which_every_trial_failed_is_reported_and_not_exported(tmp_path):
    from study import report

    record = finished_studies.copy(tmp_path)
    for result in record.results():
        failed = replace(result.outcome, state="failed", reason="out of memory", metrics={})
        record.publish(result.trial, result.attempt, failed)
    finished = finish(record)
    assert finished.failed == 4 + TESTED
    assert finished.text.count("no complete trial") == len(NAMES)
    assert "failed x11: out of memory (identity+mean+untrained, mlp+attention" in finished.text
    assert "export" not in finished.text
    assert report.write(record).is_file()


def test_the_status_of_an_unfinished_study_tells_what_runs_and_what_waits(tmp_path):
    record = finished_studies.copy(tmp_path, phase="search")
    (record.trials_folder / FIRST / "result.json").unlink()
    lines = status(record).splitlines()
    assert lines[0] == (
        "study tiny: 4 trials: 1 complete, 2 pruned, 1 running; 0 proposed by the model, "
        "4 at random; 0 confirmations; no driver is at work"
    )
    (unranked,) = [line for line in lines if line.startswith("mlp+mean")]
    assert unranked.split() == ["mlp+mean+triplet", *["-"] * 5, "no", "complete", "trial"]


def test_the_status_of_a_study_that_has_not_begun_waits(tmp_path):
    lines = status(finished_studies.copy(tmp_path, phase="nothing")).splitlines()
    assert lines[0].startswith("study tiny: 4 trials: 4 waiting; ")


def test_a_driver_at_work_is_told(tmp_path):
    record = finished_studies.copy(tmp_path, phase="search")
    with Lease(record):
        assert "; a driver is at work" in status(record).splitlines()[0]
    assert status(record).splitlines()[0].endswith("; no driver is at work")


def test_a_driver_at_work_has_a_pace(tmp_path, monkeypatch):
    record = finished_studies.copy(tmp_path, phase="search")
    ended = [result.outcome.ended for result in record.results()]
    monkeypatch.setattr("study.finish.time.time", lambda: min(ended) + 60.0)
    with Lease(record):
        assert headline(record).endswith(
            "; a driver is at work, 3 trials a minute, about 2 min left"
        )


def test_watching_a_study_without_a_driver_shows_it_once(tmp_path):
    record, written = finished_studies.copy(tmp_path, phase="search"), StringIO()
    watch(record, Console(file=written))
    assert written.getvalue() == f"{status(record)}\n"


def test_watching_ends_with_the_driver(tmp_path, monkeypatch):
    record, written = finished_studies.copy(tmp_path, phase="search"), StringIO()
    with Lease(record) as held:
        monkeypatch.setattr("study.watch.time.sleep", lambda _: held.__exit__(None, None, None))
        watch(record, Console(file=written, force_terminal=False))
    lines = written.getvalue().splitlines()
    assert "a driver is at work" in lines[0]
    assert lines[1:] == status(record).splitlines()


def test_failures_are_told_by_reason_most_frequent_first(tmp_path):
    record = finished_studies.copy(tmp_path, phase="search")
    fail(record, 2, reason="the loss became nan in epoch 1")
    fail(record, 3, 4)
    assert status(record).splitlines()[-2:] == [
        "failed x2: its process died (mlp+mean+triplet)",
        "failed x1: the loss became nan in epoch 1 (mlp+mean+triplet)",
    ]


def test_of_many_reasons_the_most_frequent_are_shown(tmp_path):
    record = finished_studies.copy(tmp_path, phase="search")
    for number in range(2, 12):
        fail(record, number, reason=f"reason {number}")
    assert status(record).count("failed x1") == REASONS_SHOWN
