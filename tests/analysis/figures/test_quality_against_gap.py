from analysis.figures.quality_against_gap import data, title
from tests.analysis.studies import NAN, tables_of, trial

TABLES = tables_of(
    [
        trial(number=0, quality=0.5, relative_gap=1.0),
        trial(number=1, quality=0.7, relative_gap=1.5),
        trial(number=2, quality=0.6, relative_gap=1.6),
        trial(number=3, quality=0.9, relative_gap=NAN),
        trial(number=4, quality=0.9, relative_gap=0.1, state="pruned"),
    ]
)


def test_unbeaten_complete_trials_are_the_front():
    assert data(TABLES).trials["is_front"].tolist() == [True, True, False]


def test_complete_trials_without_a_gap_are_counted():
    assert data(TABLES).without_gap == 1


def test_the_title_counts_the_front():
    words = "Front of quality and gap: 2 of 3 trials, from mlp+mean+triplet"
    assert title(data(TABLES)) == words
