from analysis.figures.best_so_far import data, title
from tests.analysis.studies import tables_of, trial, unfinished

TABLES = tables_of(
    [
        trial(number=0, quality=0.5, ended=3.0),
        unfinished("failed", number=1, ended=1.0),
        trial(number=2, quality=0.8, ended=4.0),
        unfinished("pruned", number=3, ended=5.0),
        trial(number=4, quality=0.3, ended=6.0),
        unfinished("running", number=5, ended=float("nan")),
        trial(number=6, quality=0.9, ended=2.0, phase="confirmation"),
    ]
)


def test_the_best_is_kept_in_the_order_of_finishing():
    course = data(TABLES).course
    assert course[["finished", "best"]].to_numpy().tolist() == [
        [2, 0.5],
        [3, 0.8],
        [4, 0.8],
        [5, 0.8],
    ]


def test_combinations_do_not_share_their_best():
    other = trial(combination="mlp+max+triplet", quality=0.1, ended=2.0)
    course = data(tables_of([trial(), other])).course.set_index("combination")
    assert course["best"].to_dict() == {"mlp+mean+triplet": 0.5, "mlp+max+triplet": 0.1}


def test_the_title_says_when_the_best_trial_came():
    words = "mlp+mean+triplet reached its best quality, 0.800, with trial 3 of 5"
    assert title(data(TABLES)) == words
