from analysis.figures.states import data, title
from tests.analysis.studies import tables_of, trial, unfinished

TABLES = tables_of(
    [
        trial(),
        unfinished("pruned", number=1),
        unfinished("failed", combination="mlp+max+triplet"),
        unfinished("running", combination="mlp+max+triplet", number=1),
    ],
    planned_trials=8,
)


def test_states_are_counted_by_combination():
    assert data(TABLES).counts.to_numpy().tolist() == [
        ["mlp+mean+triplet", 1, 1, 0, 0],
        ["mlp+max+triplet", 0, 0, 1, 1],
    ]


def test_the_title_says_how_far_the_search_is():
    assert title(data(TABLES)) == "1 of 8 planned trials are complete, 1 pruned, 1 failed"
