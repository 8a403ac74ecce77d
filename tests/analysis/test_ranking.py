import pandas as pd
import pytest

from analysis.ranking import mean_ranks, runs


def test_the_highest_quality_of_a_row_has_rank_one_and_equals_share_theirs():
    qualities = pd.DataFrame({"a": [0.1, 0.5], "b": [0.9, 0.5], "c": [0.5, 0.7]})
    ranks = mean_ranks(qualities)
    assert ranks.to_dict() == {"b": 1.75, "c": 1.5, "a": 2.75}
    assert list(ranks.index) == ["c", "b", "a"]


@pytest.mark.parametrize(
    ("different", "expected"),
    [
        ([], ["abcd"]),
        (["ad"], ["abc", "bcd"]),
        (["ac", "bd"], ["ab", "bc", "cd"]),
        (["ab"], ["bcd"]),
        (["bc"], ["ab", "cd"]),
        (["ab", "bc", "cd", "ac", "bd", "ad"], []),
        # d is told from b alone: no stretch may hold both.
        (["bd"], ["abc", "cd"]),
    ],
)
def test_a_run_is_as_long_as_no_two_of_it_differ(different, expected):
    found = runs("abcd", lambda first, second: first + second in different)
    assert found == [tuple(run) for run in expected]


def test_nobody_has_no_runs():
    assert runs([], lambda *names: False) == []
