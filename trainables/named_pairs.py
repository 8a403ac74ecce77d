"""Which groups of a request are compared."""

from collections.abc import Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from trainables.group_reading import GroupError

MOST_PAIRS = 100_000


def named_pairs(
    first: Sequence[int], second: Sequence[int], groups: int
) -> tuple[Int[Tensor, " pairs"], Int[Tensor, " pairs"]]:
    """First and second group of each pair; where none are named, all pairs ``first < second``.

    Args:
        first: rows of groups, counted from 0.
        second: as many again.
        groups: how many there are.

    Raises:
        GroupError: if both do not name equally many, name a row that is not there, or make more
            than ``MOST_PAIRS`` pairs.
    """
    if len(first) != len(second):
        raise GroupError(
            f"first and second must name equally many rows, got {len(first)} and {len(second)}"
        )
    absent = sorted({int(row) for row in (*first, *second) if not 0 <= row < groups})
    if absent:
        raise GroupError(f"pairs must name rows from 0 to {groups - 1}, got {absent[0]}")
    count = len(first) or groups * (groups - 1) // 2
    if count > MOST_PAIRS:
        raise GroupError(
            f"one request may ask for {MOST_PAIRS} pairs, got {count}; name them in first and "
            "second, a part at a time"
        )
    if len(first):
        return torch.tensor([int(i) for i in first]), torch.tensor([int(i) for i in second])
    one, other = torch.triu_indices(groups, groups, 1)
    return one, other
