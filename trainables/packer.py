"""Trains the trials of a process, their members together where that is faster."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from math import isinf
from statistics import median
from typing import final

import torch

from trainables.member import Member
from trainables.pack import Pack, seconds_together
from trainables.training import Trained, TrialRun

STEPS = 4
"""Of a try, of which the first is not counted: it also pays for what is only done once."""
GAIN = 1.1
"""How much faster together must be in a try: a little is within its error."""


@final
class Packer:
    """Steps members of one shape together, whichever trials they are of, or leaves them alone.

    What is faster is tried for a few steps, once for each shape. Members that cannot be stepped
    together, or of which one raises an error while they are, go on by themselves from where they
    were, so that an error meets only its own trial.
    """

    def __init__(self) -> None:
        self._is_faster: dict[str, bool] = {}
        self._packs: dict[tuple[Member, ...], Pack] = {}

    def train(self, runs: Mapping[str, TrialRun]) -> dict[str, Trained]:
        """Trains until the next validation of each run.

        Args:
            runs: by name.

        Returns:
            What has come of those whose members were trained together, by name. All others still
            wait where they were.
        """
        alike = defaultdict(list)
        for name, run in runs.items():
            shapes = tuple(member.shape for member in run.members)
            alike[shapes, run.epochs_until_validation].append(name)
        packs, self._packs = self._packs, {}
        trained: dict[str, Trained] = {}
        for (shapes, epochs), names in alike.items():
            if epochs and None not in shapes:
                trained |= self._trained({name: runs[name] for name in names}, epochs, packs)
        return trained

    def forget(self) -> None:
        """Lets go of members that were trained together; what is faster stays known."""
        self._packs = {}
        torch.cuda.empty_cache()

    def _trained(
        self, runs: dict[str, TrialRun], epochs: int, packs: Mapping[tuple[Member, ...], Pack]
    ) -> dict[str, Trained]:
        """Of runs whose members have the same shapes in the same order."""
        members = [member for run in runs.values() for member in run.members]
        groups = defaultdict(list)
        for member in members:
            groups[member.shape].append(member)
        if not all(self._gains(str(shape), group) for shape, group in groups.items()):
            return {}
        before = [member.state() for member in members]
        losses: dict[Member, list[float]] = {}
        try:
            for group in groups.values():
                key = tuple(group)
                pack = self._packs[key] = packs.get(key) or Pack(group)
                of_epochs = [pack.train_epoch() for _ in range(epochs)]
                losses |= dict(zip(group, map(list, zip(*of_epochs, strict=True)), strict=True))
        except Exception:  # a component may raise anything: found out by whose trial, alone
            self._is_faster |= dict.fromkeys(map(str, groups), False)
            self._packs.clear()  # their memory, which may be what was short
            _restore(members, before)
            return {}
        size = max(map(len, groups.values()))
        return {
            name: Trained([losses[member] for member in run.members], size)
            for name, run in runs.items()
        }

    def _gains(self, shape: str, members: Sequence[Member]) -> bool:
        if len(members) == 1:
            return False
        if shape not in self._is_faster:
            before = [member.state() for member in members]
            self._is_faster[shape] = _is_faster_together(members)
            _restore(members, before)
        return self._is_faster[shape]


def _is_faster_together(members: Sequence[Member]) -> bool:
    """Tries some steps both ways, and leaves the members changed."""
    together = seconds_together(members, STEPS)
    if isinf(together):
        return False
    seconds, _ = members[0].try_steps(STEPS)
    return GAIN * together < median(seconds[1:] or seconds) * len(members)


def _restore(members: Sequence[Member], states: Sequence[dict[str, object]]) -> None:
    for member, state in zip(members, states, strict=True):
        member.restore(state)
