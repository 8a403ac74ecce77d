from analysis.figures.distances_and_bounds import SHOWN, data, draw, title
from tests.analysis.studies import NAN, pair, tables_of, trial

KEY = trial()["key"]


def test_pairs_are_in_units_of_the_scale():
    pairs = data(tables_of([trial()], bounds=[pair(KEY)])).pairs.set_index("bound")
    assert pairs["distance"].tolist() == [0.5, 0.5, 0.5]
    assert pairs["value"].to_dict() == {"t4": 1.0, "t1_prime": 1.5, "t1": 2.0}


def test_only_the_search_at_the_selected_size_is_shown():
    confirmed = trial(phase="confirmation", seed=1)
    bounds = [pair(KEY), pair(KEY, size=2), pair(confirmed["key"])]
    assert len(data(tables_of([trial(), confirmed], bounds=bounds)).pairs) == 3


def test_uncovered_combinations_have_no_panel():
    other = trial(combination="mlp+max+triplet", coverage="uncovered", quality=0.9)
    bounds = [pair(KEY), pair(other["key"], t1=NAN, t1_prime=NAN, t4=NAN)]
    shown = data(tables_of([trial(), other], bounds=bounds))
    assert shown.combinations == ("mlp+mean+triplet",)


def test_the_title_counts_violations():
    honest, broken = pair(KEY), pair(KEY, second=2, distance=2.5)
    words = "All 3 comparisons of same-class groups of 5 respect their bound"
    assert title(data(tables_of([trial()], bounds=[honest]))) == words
    words = "1 of 6 distances of same-class groups exceed their bound"
    assert title(data(tables_of([trial()], bounds=[honest, broken]))) == words


def test_every_violation_is_drawn_however_many_pairs_there_are():
    bounds = [pair(KEY, second=n, distance=n / 1e4) for n in range(3 * SHOWN)]
    bounds[1] |= {"distance": 5.0}
    shown = data(tables_of([trial()], bounds=bounds))
    lines = draw(shown).axes[0].get_lines()
    dots = [line for line in lines if line.get_marker() == "."]
    (crosses,) = [line for line in lines if line.get_marker() == "x"]
    assert all(len(line.get_xdata()) <= SHOWN for line in dots)
    assert list(crosses.get_xdata()) == [2.5] * 3
