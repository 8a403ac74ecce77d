"""Whether combinations are compared as equals: what is no part of any of them is alike for all."""

from collections.abc import Iterator

from study.ranges import in_words
from study.space import OptionSpaces, SearchSpace

SHARED = {"encoder": "width", "loss": "level"}
"""Options that say how much an embedding can tell and what is trained, whichever the component."""


def problems(space: SearchSpace) -> list[str]:
    """Options that are not alike for all components of a slot, though they are no part of them.

    Data, budget, protocol and training are given once for all; these are given with components.
    One that lacks the option is compared as it is.
    """
    return [problem for slot in SHARED for problem in _differing(space, slot, SHARED[slot])]


def _differing(space: SearchSpace, slot: str, option: str) -> Iterator[str]:
    parts: dict[str, OptionSpaces] = {
        getattr(combination, slot).path: getattr(combination, slot)
        for combination in space.combinations
    }
    spaces = {part.name: _space(part, option) for part in parts.values() if part.values(option)}
    if len(set(spaces.values())) > 1:
        told = ", ".join(f"{name} has {space}" for name, space in sorted(spaces.items()))
        yield (
            f"search.{slot}: {option} must be the same for every {slot}, or their comparison is "
            f"none of equals: {told}; give all the same"
        )


def _space(part: OptionSpaces, option: str) -> str:
    if option in part.fixed:
        return str(part.fixed[option])
    return in_words(part.searched[option])
