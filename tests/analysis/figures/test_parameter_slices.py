import pytest

from analysis.figures.parameter_slices import MOST, data, draw, title
from tests.analysis.studies import parameter, tables_of, trial


def of(*values, name="training.rate"):
    """A study of one combination, whose trials get better and have these values."""
    rows = [trial(number=n, quality=0.1 * (n + 1)) for n in range(len(values))]
    given = [parameter(row["key"], name, v) for row, v in zip(rows, values, strict=True)]
    return data(tables_of(rows, parameters=given))


@pytest.mark.parametrize(
    ("values", "at_an_end"),
    [([1, 3, 2], False), ([1, 2, 3], True), ([3, 2, 1], True), ([1, 2], False), ("abc", False)],
)
def test_the_title_says_where_the_best_trial_lies_at_an_end(values, at_an_end):
    told = title(of(*values))
    assert told.startswith("training.rate: the best trial") == at_an_end
    assert told.startswith("Nowhere the best trial") != at_an_end


def test_wide_numbers_get_a_logarithmic_axis_and_names_one_place_each():
    wide, near, names = (draw(of(*v)).axes[0] for v in ([0.001, 0.1], [1, 2], "ab"))
    assert (wide.get_xscale(), near.get_xscale()) == ("log", "linear")
    assert [label.get_text() for label in names.get_xticklabels()] == ["a", "b"]


def test_the_large_marker_is_the_best_trial():
    (ax,) = (ax for ax in draw(of(5, 9, 7)).axes if ax.get_visible())
    others, best = ax.lines
    assert others.get_xdata().tolist() == [5, 9]
    assert best.get_xdata().tolist() == [7]
    assert best.get_ydata().tolist() == [pytest.approx(0.3)]


def test_so_many_parameters_have_a_panel_at_most():
    rows = [trial(number=n) for n in range(2)]
    many = [parameter(row["key"], f"p{i:02}", n) for n, row in enumerate(rows) for i in range(20)]
    figure = draw(data(tables_of(rows, parameters=many)))
    assert sum(ax.get_visible() for ax in figure.axes) == MOST
