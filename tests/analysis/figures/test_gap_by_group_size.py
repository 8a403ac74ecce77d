from analysis.figures.gap_by_group_size import data, title
from tests.analysis.studies import metric, tables_of, trial

BEST, OTHER = trial(), trial(combination="mlp+max+triplet", quality=0.4)
WORSE = trial(number=1, quality=0.1)
TABLES = tables_of(
    [BEST, OTHER, WORSE],
    [
        metric(BEST["key"], "bound/t4_relative_gap.size10", 0.5),
        metric(BEST["key"], "bound/t4_relative_gap.size2", 0.75),
        metric(BEST["key"], "bound/t1_prime_relative_gap.size2", 1.5),
        metric(BEST["key"], "bound/t4_gap.size2", 9.0),
        metric(BEST["key"], "bound/best_relative_gap.size2", 0.1),
        metric(OTHER["key"], "bound/t4_relative_gap.size2", 0.5),
        metric(OTHER["key"], "bound/t4_relative_gap.size10", 0.6),
        metric(WORSE["key"], "bound/t4_relative_gap.size2", 9.0),
    ],
)


def test_relative_gaps_of_best_trials_come_in_order_of_size():
    gaps = data(TABLES).gaps
    gaps = gaps[gaps["combination"] == BEST["combination"]]
    assert gaps[["bound", "size", "relative_gap"]].to_numpy().tolist() == [
        ["t1_prime", 2, 1.5],
        ["t4", 2, 0.75],
        ["t4", 10, 0.5],
    ]


def test_the_title_counts_the_combinations_whose_gap_shrinks():
    words = "From groups of 2 to groups of 10 points the T4 gap shrinks for 1 of 2 combinations"
    assert title(data(TABLES)) == words
