"""What the names of metrics say: ``bound/t4_relative_gap.size5`` and its neighbours."""

import re

BOUNDS = {"t4": "T4", "t1_prime": "T1′", "t1": "T1"}
"""Bounds of a table of bounds and how a reader knows them, tightest first."""

SYMBOLS = {
    **BOUNDS,
    "t1_double_prime": "T1″",
    **{f"t{number}": f"T{number}" for number in (2, 3, 6, 7, 8, 9)},
    "best": "best bound",
}
"""All bounds that are measured."""

WORDS = {
    "map_at_r": "MAP@R",
    "recall_at_1": "recall@1",
    "gap": "gap",
    "relative_gap": "relative gap",
    "tightness": "tightness",
    "m_star": "margin m*",
    "m_99": "margin of 99%",
}


def beside(name: str, quantity: str) -> str:
    """The bound metric of another quantity at the same size, as ``bound/m_star.size5``."""
    _, _, suffix = name.rpartition(".")
    return f"bound/{quantity}.{suffix}"


def bound_of(name: str) -> str:
    """The bound a gap metric is about, as ``t4``; the tightest listed one where it has none."""
    match = re.match(r"bound/((?:input_)?t\d+(?:_(?:double_)?prime)?|best)_", name)
    return match[1] if match else next(iter(BOUNDS))


def size_of(name: str) -> int | None:
    """Points per group that a metric is about, or None where it is about no group size."""
    match = re.search(r"\.size(\d+)$", name)
    return int(match[1]) if match else None


def in_phase(name: str, phase: str) -> str:
    """The same quantity read otherwise, as ``test/map_at_r.size5`` for ``val/map_at_r.size5``."""
    _, _, rest = name.partition("/")
    return f"{phase}/{rest}"


def in_words(name: str) -> str:
    """A metric as a reader knows it: ``MAP@R of groups of 5 points``.

    A quantity without words of its own keeps its name, so that no metric is hidden.
    """
    stem, _, suffix = name.rpartition("/")[2].partition(".")
    prefix, quantity = "", stem
    for bound, symbol in SYMBOLS.items():
        if stem.startswith(f"{bound}_") and stem.removeprefix(f"{bound}_") in WORDS:
            prefix, quantity = f"{symbol} ", stem.removeprefix(f"{bound}_")
    size = size_of(name)
    about = f" of groups of {size} points" if size else f" of {suffix}" if suffix else ""
    return f"{prefix}{WORDS.get(quantity, quantity)}{about}"
