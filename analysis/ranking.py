"""Mean ranks of combinations, and who cannot be told apart."""

from collections.abc import Callable, Sequence

import pandas as pd


def mean_ranks(qualities: pd.DataFrame) -> pd.Series:
    """Mean over the rows of each column's rank within its row, from 1 for the highest quality.

    Equal qualities share the mean of their ranks.

    Args:
        qualities: one row per seed or study, one column per combination, nothing missing.

    Returns:
        Mean ranks by combination, best first.
    """
    ranks: pd.Series = qualities.rank(axis="columns", ascending=False).mean()
    return ranks.sort_values(kind="stable")


def runs(ordered: Sequence[str], differ: Callable[[str, str], bool]) -> list[tuple[str, ...]]:
    """The longest stretches of two or more neighbours of which no two differ.

    Args:
        ordered: combinations, best first.
        differ: whether two of them are told apart.
    """
    found: list[tuple[str, ...]] = []
    reached = 1
    for start in range(len(ordered)):
        stop = start + 1
        while stop < len(ordered) and not _differs(ordered[start:stop], ordered[stop], differ):
            stop += 1
        # A stretch that ends no later than the one before is a part of it.
        if stop > max(reached, start + 1):
            found.append(tuple(ordered[start:stop]))
            reached = stop
    return found


def _differs(names: Sequence[str], other: str, differ: Callable[[str, str], bool]) -> bool:
    return any(differ(name, other) for name in names)
