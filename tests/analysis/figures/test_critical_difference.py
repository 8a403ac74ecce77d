import pytest

from analysis.drawing import looks
from analysis.figures.critical_difference import data, data_across, draw, title
from tests.analysis.studies import confirmed, tables_of, trial

MEAN, MAX, SUM = "mlp+mean+triplet", "mlp+max+triplet", "mlp+sum+triplet"
QUALITIES = {
    MEAN: [0.80, 0.84, 0.79, 0.83],
    MAX: [0.81, 0.82, 0.80, 0.81],
    SUM: [0.50, 0.51, 0.49, 0.52],
}


@pytest.fixture
def study():
    return confirmed(QUALITIES)


@pytest.fixture
def studies():
    return [confirmed({MEAN: [0.9], MAX: [0.8], SUM: [0.7]}, name=str(place)) for place in range(4)]


def test_combinations_stand_at_their_mean_ranks_over_seeds(study):
    found = data(study)
    assert found.mean_ranks.to_dict() == {MEAN: 1.5, MAX: 1.5, SUM: 3.0}
    assert (found.over, found.repeats) == ("seeds", 4)


def test_a_bar_joins_those_that_the_paired_tests_do_not_tell_apart(study):
    found = data(study)
    assert [set(run) for run in found.together] == [{MEAN, MAX}]
    assert found.rivals == 1
    assert title(found).endswith(
        "ranks first on test data over 4 seeds; another one is not told apart from it"
    )


def test_seeds_that_not_all_have_are_left_out():
    nan = float("nan")
    found = data(confirmed({MEAN: [0.5, 0.6, 0.7], MAX: [0.4, nan, 0.9]}))
    assert (found.repeats, found.mean_ranks.to_dict()) == (2, {MEAN: 1.5, MAX: 1.5})


def test_studies_are_the_repeats_across_studies(studies):
    found = data_across(studies)
    assert found.mean_ranks.to_dict() == {MEAN: 1, MAX: 2, SUM: 3}
    assert found.together == [(MEAN, MAX), (MAX, SUM)]
    assert (found.over, found.repeats, found.rivals) == ("studies", 4, 1)
    assert found.distance == pytest.approx(1.657, abs=1e-3)


def test_the_distance_that_tells_apart_is_drawn_where_there_is_one(study, studies):
    words = [
        [t.get_text() for t in draw(d).axes[0].texts] for d in (data(study), data_across(studies))
    ]
    assert words == [[], ["critical difference 1.66"]]


def test_a_combination_has_the_colour_of_the_leaderboard(study):
    figure = draw(data(study))
    found = data(study)
    drawn = {line.get_color() for line in figure.axes[0].lines}
    colours = {look.colour for look in looks(found.combinations).values()}
    assert colours <= drawn


@pytest.mark.parametrize(
    ("tables", "reason"),
    [
        (tables_of([trial()]), "No combination is confirmed"),
        (confirmed({MEAN: [0.5, 0.6]}), "Only mlp+mean+triplet is confirmed"),
        (confirmed({MEAN: [0.5], MAX: [0.6]}), "No two combinations are confirmed"),
    ],
)
def test_what_is_missing_is_said(tables, reason):
    figure = draw(data(tables))
    assert [text.get_text().startswith(reason) for text in figure.texts] == [False, True]


def test_too_few_studies_are_said():
    found = data_across([confirmed({MEAN: [0.5]})])
    assert found.missing == "needs at least 2 studies, got 1"
    assert draw(found).texts
