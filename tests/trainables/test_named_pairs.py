import pytest

from trainables.group_reading import GroupError
from trainables.named_pairs import named_pairs


def listed(pairs):
    return list(zip(*(part.tolist() for part in pairs), strict=True))


def test_all_pairs_unless_some_are_named():
    assert listed(named_pairs([], [], 4)) == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    assert listed(named_pairs([], [], 1)) == []
    assert listed(named_pairs([3, 0, 1], [0, 0, 2], 4)) == [(3, 0), (0, 0), (1, 2)]


@pytest.mark.parametrize(
    ("first", "second", "groups", "told"),
    [
        ([0], [], 2, "first and second must name equally many rows, got 1 and 0"),
        ([0, 2], [1, 7], 2, "pairs must name rows from 0 to 1, got 2"),
        ([-1], [0], 2, "pairs must name rows from 0 to 1, got -1"),
        ([], [], 500, "one request may ask for 100000 pairs, got 124750; name them"),
    ],
)
def test_pairs_that_are_not_there_or_too_many_are_refused(first, second, groups, told):
    with pytest.raises(GroupError) as caught:
        named_pairs(first, second, groups)
    assert str(caught.value).startswith(told)
