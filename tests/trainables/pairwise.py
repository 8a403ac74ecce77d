"""Few combinations that hold every pair of values some legal combination holds."""

import random
from itertools import combinations


def covering(legal):
    """A seeded choice among ``legal`` tuples of one length; no pair of values is missing."""
    legal = list(legal)
    shuffled = random.Random(0).sample(legal, len(legal))
    seen, chosen = set(), []
    for candidate in shuffled:
        new = pairs(candidate) - seen
        if new:
            chosen.append(candidate)
            seen |= new
    return sorted(chosen, key=legal.index)


def pairs(values):
    return {(i, values[i], j, values[j]) for i, j in combinations(range(len(values)), 2)}
