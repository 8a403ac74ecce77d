from dataclasses import replace

import pytest

from study.compare import compare
from study.errors import RecordError
from tests.study.files import finished

TWO = "search.aggregator.max: {}"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("studies")
    finished(folder, "name: one", TWO, qualities=[0.25, 0.75])
    finished(folder, "name: two", qualities=[0.9])
    finished(folder, "name: small", "protocol.size: 1", qualities=[0.9])
    return folder


def test_studies_stand_side_by_side_best_combination_first(root):
    assert compare(root, ["one", "two"]).splitlines() == [
        "combination          one/quality  one/gap  two/quality  two/gap",
        "linear+mean+triplet       0.2500   0.5000       0.9000   0.5000",
        "linear+max+triplet        0.7500   0.5000            -        -",
        "(quality: val/map_at_r.size2; gap: bound/t4_relative_gap.size2)",
        "(no ranks across studies: needs at least 3 combinations that every study has confirmed on "
        "test data, found 0)",
    ]


def test_studies_that_select_by_different_metrics_are_shown_with_a_warning(root):
    text = compare(root, ["one", "small"])
    assert text.splitlines()[-6:-1] == [
        "compare down the columns, not across: the studies do not use the same metrics",
        "  val/map_at_r.size2: one",
        "  val/map_at_r.size1: small",
        "  bound/t4_relative_gap.size2: one",
        "  bound/t4_relative_gap.size1: small",
    ]


def confirm(record, qualities):
    """Adds a confirmation to each combination's trial, of the given test quality."""
    for found, quality in zip(record.results(), qualities, strict=True):
        key = f"{found.trial.key}-confirm-1"
        trial = replace(found.trial, key=key, phase="confirmation", seeds=(1,), proposed_by="")
        record.plan(trial)
        metrics = {"test/map_at_r.size2": quality}
        record.publish(trial, 1, replace(found.outcome, metrics=metrics))


def test_combinations_that_every_study_has_confirmed_are_ranked_across(tmp_path):
    three = (TWO, "search.aggregator.medoid: {}")
    qualities = {"a": [0.9, 0.8, 0.7], "b": [0.5, 0.4, 0.3], "c": [0.6, 0.4, 0.2], "d": [3, 2, 1]}
    for name, of_study in qualities.items():
        record = finished(tmp_path, f"name: {name}", *three, qualities=[0.5] * 3)
        confirm(record, of_study)
    first, second, third = (
        r.trial.combination for r in record.results() if "conf" not in r.trial.key
    )
    assert compare(tmp_path, list(qualities)).splitlines()[-7:] == [
        "mean rank by test quality over 4 studies (1 is best):",
        f"  1.00  {first}",
        f"  2.00  {second}",
        f"  3.00  {third}",
        "(Friedman: p = 0.0183; Nemenyi: ranks more than 1.66 apart differ where p is below 0.05)",
        f"not told apart: {first}, {second}",
        f"not told apart: {second}, {third}",
    ]


@pytest.mark.parametrize("names", [["one"], ["one", "one"]])
def test_fewer_than_two_studies_are_refused(root, names):
    with pytest.raises(RecordError) as caught:
        compare(root, names)
    assert caught.value.problems == [f"needs two different studies, got {', '.join(names)}"]


def test_every_unknown_name_is_told_at_once(root):
    with pytest.raises(RecordError) as caught:
        compare(root, ["onne", "two", "smal"])
    assert caught.value.problems == [
        "onne: holds no study; did you mean one?",
        "smal: holds no study; did you mean small?",
    ]


def test_a_page_with_figures_is_written_where_the_user_says(root, tmp_path, called):
    code, output, errors = called("compare", "one", "two", "--root", root, "--to", tmp_path / "to")
    assert (code, errors) == (0, "")
    assert output.splitlines()[-1] == f"page {tmp_path / 'to' / 'comparison.html'}"
    assert (tmp_path / "to" / "figures" / "studies_side_by_side.svg").exists()
