"""The space of one option as a study file writes it, and as Optuna takes it.

A value is fixed; ``[a, b]`` or ``{choices: [a, b]}`` is searched among these; ``{low: a, high:
b}``, with ``log: true`` or ``step: c`` if wanted, is searched between these. An option that is not
mentioned is searched in the space its component suggests, if any, else keeps its default.
"""

from collections.abc import Mapping
from decimal import Decimal
from math import inf, isfinite
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from trainables.catalogue import Option
from trainables.contracts import Search, SearchAmong
from trainables.wording import meant, nearest, shown

RANGE_KEYS = ("low", "high", "log", "step")
MOST_CHOICES = 100
MOST_STEPS = 1_000_000


def suggested(option: Option) -> Any:
    """The space of an option that the study file does not mention, as if written there."""
    match option.suggestion:
        case Search(low=low, high=high, log=log):
            return {"low": low, "high": high, "log": log}
        case SearchAmong(choices=choices):
            return list(choices)
    return option.default


def problems(option: Option, space: Any) -> list[str]:
    """What is wrong with a written space, each starting with where inside it."""
    if isinstance(space, dict) and "choices" in space:
        return _choices_problems(option, space)
    if isinstance(space, dict):
        return _bounds_problems(option, space)
    if isinstance(space, list):
        return _list_problems(option, space)
    problem = option.problem(space)
    return [f": {problem}"] if problem else []


def _choices_problems(option: Option, space: Mapping[str, Any]) -> list[str]:
    if len(space) > 1:
        return [": `choices` stands alone, without other keys"]
    if not isinstance(space["choices"], list):
        return [f".choices: must be a list, got {shown(space['choices'])}"]
    return _list_problems(option, space["choices"])


def _list_problems(option: Option, values: list[Any]) -> list[str]:
    if not 1 <= len(values) <= MOST_CHOICES:
        return [f": must list 1 to {MOST_CHOICES} choices, lists {len(values)}"]
    illegal = [problem for value in values if (problem := option.problem(value))]
    if illegal:
        return [f": {problem}" for problem in dict.fromkeys(illegal)]
    twice = [value for place, value in enumerate(values) if value in values[:place]]
    return [f": must list each choice once, {shown(value)} is repeated" for value in twice[:1]]


def _bounds_problems(option: Option, space: Mapping[str, Any]) -> list[str]:
    if option.choices is not None or option.kind not in (int, float):
        known = ", ".join(map(shown, option.choices or ()))
        return [f": has no range; list its choices{f', as [{known}]' if known else ''}"]
    unknown = [
        f".{key}: no such key; {nearest(key, RANGE_KEYS)}" for key in space if key not in RANGE_KEYS
    ]
    misspelt = {meant(key, RANGE_KEYS) for key in space}
    missing = [f": a range needs `{key}`" for key in ("low", "high") if key not in misspelt]
    ends = {key: option.problem(space[key]) for key in ("low", "high") if key in space}
    illegal = [f".{key}: {problem}" for key, problem in ends.items() if problem]
    return unknown + missing + illegal or _shape_problems(option, space)


def _shape_problems(option: Option, space: Mapping[str, Any]) -> list[str]:
    low, high, step, log = space["low"], space["high"], space.get("step"), space.get("log", False)
    rules = [
        (low > high, f": low must not exceed high, got {low} > {high}"),
        (not isinstance(log, bool), f".log: must be true or false, got {shown(log)}"),
        (not isfinite(high - low), f": must be narrower, got {low} to {high}"),
        (log is True and low <= 0, f".low: must be positive on a log scale, got {low}"),
        (log is True and step is not None, ".step: cannot be combined with log"),
    ]
    found = [problem for broken, problem in rules if broken]
    return found or _step_problems(option, low, high, step)


def _step_problems(option: Option, low: float, high: float, step: Any) -> list[str]:
    if step is None:
        return []
    kinds = (int,) if option.kind is int else (int, float)
    if not isinstance(step, kinds) or isinstance(step, bool) or not 0 < step < inf:
        kind = "integer" if option.kind is int else "number"
        return [f".step: must be a positive {kind}, got {shown(step)}"]
    if (high - low) / step > MOST_STEPS:
        return [f".step: must make at most {MOST_STEPS} steps, got {step} from {low} to {high}"]
    # In decimals, as written: 0.3 - 0.1 is no multiple of 0.1 in binary.
    start, end, width = (Decimal(str(number)) for number in (low, high, step))
    last = start + (end - start) // width * width
    if last == end:
        return []
    got = f"{shown(step)} from {low} to {high}"
    return [f".step: must divide the range, got {got}; end it at {last}"]


def value(option: Option, written: Any) -> Any:
    """A legal written value in the option's own kind: 1 is a float where floats are wanted."""
    return option.kind(written) if option.kind in (int, float) else written


def distribution(option: Option, space: Any) -> BaseDistribution | None:
    """The distribution of a legal written space, or None where it is one fixed value."""
    if isinstance(space, dict) and "choices" in space:
        space = space["choices"]
    if isinstance(space, list):
        return CategoricalDistribution([value(option, choice) for choice in space])
    if not isinstance(space, dict):
        return None
    log, step = space.get("log", False), space.get("step")
    if option.kind is int:
        return IntDistribution(space["low"], space["high"], log=log, step=step or 1)
    return FloatDistribution(space["low"], space["high"], log=log, step=step)


def in_words(space: BaseDistribution) -> str:
    """A space as ``0.05 to 0.5, logarithmic`` or ``one of 1, 2``."""
    if isinstance(space, CategoricalDistribution):
        return f"one of {', '.join(map(str, space.choices))}"
    values = space._asdict()
    step = f" in steps of {values['step']}" if values.get("step") not in (None, 1) else ""
    scale = ", logarithmic" if values["log"] else ""
    return f"{values['low']} to {values['high']}{step}{scale}"
