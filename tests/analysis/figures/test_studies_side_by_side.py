from analysis.figures.studies_side_by_side import data, draw, title
from tests.analysis.studies import NAN, tables_of, trial

MEAN, MAX = "mlp+mean+triplet", "mlp+max+triplet"


def study(name, **qualities):
    rows = [trial(combination=c, quality=q) for c, q in qualities.items()]
    return tables_of(rows, name=name)


ONE = study("one", **{MEAN: 0.9, MAX: 0.5})
TWO = study("two", **{MEAN: 0.4, MAX: 0.6})


def test_every_study_has_a_dot_in_the_row_of_a_combination():
    ax = draw(data([ONE, TWO])).axes[0]
    assert [list(line.get_xdata()) for line in ax.lines] == [[0.9, 0.5], [0.4, 0.6]]
    assert [list(line.get_ydata()) for line in ax.lines] == [[0, 1], [0, 1]]


def test_a_combination_that_a_study_lacks_has_no_dot():
    found = data([ONE, study("two", **{MAX: 0.6})])
    assert found.trials["study"].tolist() == ["one", "one", "two"]


def test_the_title_says_how_often_the_first_is_best():
    assert title(data([ONE, TWO, study("three", **{MAX: 0.7})])) == (
        f"{MAX} is best in 2 of 3 studies"
    )


def test_studies_without_complete_trials_have_a_titled_sheet():
    empty = tables_of([trial(state="failed", quality=NAN)], name="two")
    assert draw(data([tables_of(name="one"), empty])).get_suptitle() == "Best trials by study"


def test_axes_are_in_words_where_the_metrics_are_the_same():
    other = tables_of([trial()], name="two", quality_name="val/map_at_r.size2")
    assert data([ONE, TWO]).quality == "MAP@R of groups of 5 points"
    assert data([ONE, other]).quality == "quality"
