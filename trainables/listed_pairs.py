"""Which pairs of groups are listed one by one: a random choice, and those with the worst bounds."""

from dataclasses import fields
from typing import final

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from trainables.bounds import PairBounds
from trainables.witness import worst_rows

LISTED_PAIRS = 2000


@final
class ListedPairs:
    """Keeps 2,000 of many pairs, which come a chunk at a time.

    They are chosen at random, and among them are always the pair with the largest gap of ``t4`` and
    the one with its largest tightness, the first of several; where the bound is not known, none is
    worst.

    Args:
        count: how many pairs come.
        seed: of the choice.
    """

    def __init__(self, count: int, seed: int) -> None:
        choice = np.random.default_rng(seed).choice(count, min(count, LISTED_PAIRS), replace=False)
        self._chosen = torch.from_numpy(choice)
        self._seen = 0
        self._places: list[Tensor] = []
        self._parts: list[PairBounds] = []

    def add(self, found: PairBounds) -> None:
        """Takes the next pairs, and keeps those that may be listed."""
        chosen = self._chosen.to(found.first.device) - self._seen
        inside = chosen[(chosen >= 0) & (chosen < len(found.first))]
        # The worst of all pairs is the worst of its chunk.
        rows = torch.cat([inside, worst_rows(found, "t4")]).unique()
        self._places.append(rows + self._seen)
        self._parts.append(_at(found, rows))
        self._seen += len(found.first)

    def listed(self) -> PairBounds:
        """The listed pairs, in the order in which they came; some must have come."""
        places, found = torch.cat(self._places), _joined(self._parts)
        worst = places[worst_rows(found, "t4")]
        chosen = self._chosen.to(worst.device)
        others = chosen[~torch.isin(chosen, worst)][: LISTED_PAIRS - len(worst)]
        kept = torch.isin(places, torch.cat([others, worst]))
        return _at(found, kept.nonzero().squeeze(1))


def _at(found: PairBounds, rows: Int[Tensor, " rows"]) -> PairBounds:
    columns = {field.name: getattr(found, field.name) for field in fields(found)}
    return PairBounds(
        **{name: column[rows] if column.ndim else column for name, column in columns.items()}
    )


def _joined(parts: list[PairBounds]) -> PairBounds:
    columns = {
        field.name: [getattr(part, field.name) for part in parts] for field in fields(parts[0])
    }
    return PairBounds(
        **{name: torch.cat(of) if of[0].ndim else of[0] for name, of in columns.items()}
    )
