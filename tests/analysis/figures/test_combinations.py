from analysis.figures.combinations import data, title
from tests.analysis.studies import NAN, tables_of, trial, unfinished

TABLES = tables_of(
    [
        trial(number=0, quality=0.5, relative_gap=1.25),
        trial(number=1, quality=0.7, relative_gap=1.5),
        trial(combination="mlp+max+triplet", quality=0.6, relative_gap=NAN, coverage="uncovered"),
        unfinished("failed", combination="mlp+sum+triplet"),
    ]
)


def test_every_complete_trial_is_shown_and_the_best_marked():
    shown = data(TABLES).trials
    assert shown["quality"].tolist() == [0.5, 0.7, 0.6]
    assert shown["is_best"].tolist() == [False, True, True]


def test_combinations_come_best_first_and_none_is_dropped():
    shown = data(TABLES)
    assert shown.combinations == ("mlp+mean+triplet", "mlp+max+triplet", "mlp+sum+triplet")
    assert shown.uncovered == {"mlp+max+triplet"}


def test_the_title_names_the_leader():
    words = "mlp+mean+triplet leads with quality 0.700 and has relative gap 1.50"
    assert title(data(TABLES)) == words
