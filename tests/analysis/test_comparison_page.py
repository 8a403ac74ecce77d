import re

from analysis import comparison_page
from tests.analysis.studies import confirmed, tables_of, trial

MARKUP = "<script>alert(1)</script>"


def written(folder, *studies):
    return comparison_page.write(studies, folder).read_text(encoding="utf-8")


def test_the_page_shows_each_study_and_leaves_tables_and_figures_as_files(tmp_path):
    qualities = {f"mlp+{name}+triplet": [0.5 + 0.1 * n] for n, name in enumerate("abc")}
    html = written(tmp_path, confirmed(qualities, name="one"), confirmed(qualities, name="two"))
    assert html.count("<figure id=") == 2
    for name in ("one", "two", *qualities):
        assert name in html
    assert "No ranks across studies" not in html
    assert {path.name for path in (tmp_path / "figures").glob("*.png")} == {
        "critical_difference.png",
        "studies_side_by_side.png",
    }
    assert (tmp_path / "tables" / "best_trials.csv").exists()


def test_what_keeps_studies_from_being_ranked_is_said(tmp_path):
    html = written(tmp_path, tables_of([trial()], name="one"), tables_of(name="two"))
    assert "No combination is confirmed in every study" in html
    assert "No ranks across studies: needs at least 3 combinations" in html


def test_different_metrics_are_pointed_out(tmp_path):
    other = tables_of([trial()], name="two", quality_name="val/map_at_r.size2")
    html = written(tmp_path, tables_of([trial()], name="one"), other)
    assert "compare down the columns, not across" in html
    assert "MAP@R of groups of 2 points" in html


def test_names_are_shown_as_they_stand_and_nothing_is_asked_for(tmp_path):
    named = tables_of([trial(combination=f"a+{MARKUP}+b")], name=MARKUP)
    html = written(tmp_path, named, tables_of(name="two"))
    assert "<script" not in html
    assert not re.search(r"https?://|url\(|@import|<link", html)
