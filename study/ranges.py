"""The space of one option as a study file writes it, and as Optuna takes it.

A value is fixed; ``[a, b]`` or ``{choices: [a, b]}`` is searched among these; ``{low: a, high:
b}``, with ``log: true`` or ``step: c`` if wanted, is searched between these. An option that is not
mentioned is searched in the space its component suggests, if any, else keeps its default.
"""

from collections.abc import Mapping
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from study.config import nearest
from trainables.catalogue import Option
from trainables.contracts import Search, SearchAmong

RANGE_KEYS = {"low", "high", "log", "step"}


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
    if isinstance(space, dict) and "choices" not in space:
        return _bounds_problems(option, space)
    if isinstance(space, dict) and set(space) != {"choices"}:
        return [": `choices` stands alone, without other keys"]
    values = space["choices"] if isinstance(space, dict) else space
    if not isinstance(values, list):
        problem = option.problem(values)
        return [f": {problem}"] if problem else []
    if not values or len({repr(value) for value in values}) < len(values):
        return [": choices must be at least one value, each once"]
    illegal = {repr(value): option.problem(value) for value in values}
    return [f": {problem}" for problem in illegal.values() if problem]


def _bounds_problems(option: Option, space: Mapping[str, Any]) -> list[str]:
    if option.kind not in (int, float):
        return [f": has no range; list its choices, as {list(option.choices or ())}"]
    unknown = [f".{key}: no such key; {nearest(key, RANGE_KEYS)}" for key in {*space} - RANGE_KEYS]
    missing = [f": a range needs `{key}`" for key in ("low", "high") if key not in space]
    if unknown or missing:
        return unknown + missing
    ends = {key: option.problem(space[key]) for key in ("low", "high")}
    illegal = [f".{key}: {problem}" for key, problem in ends.items() if problem]
    if illegal:
        return illegal
    return _shape_problems(option, space)


def _shape_problems(option: Option, space: Mapping[str, Any]) -> list[str]:
    low, high, step, log = space["low"], space["high"], space.get("step"), space.get("log", False)
    rules = [
        (low > high, f": low must not exceed high, got {low} > {high}"),
        (not isinstance(log, bool), f".log: must be true or false, got {log!r}"),
        (log is True and low <= 0, f".low: must be positive on a log scale, got {low}"),
        (log is True and step is not None, ".step: cannot be combined with log"),
        (
            not _is_step(option, step),
            f".step: must be a positive {option.kind.__name__}, got {step!r}",
        ),
    ]
    return [problem for broken, problem in rules if broken]


def distribution(option: Option, space: Any) -> BaseDistribution | None:
    """The distribution of a legal written space, or None where it is one fixed value."""
    if isinstance(space, dict) and "choices" in space:
        space = space["choices"]
    if isinstance(space, list):
        return CategoricalDistribution(space)
    if not isinstance(space, dict):
        return None
    log, step = space.get("log", False), space.get("step")
    if option.kind is int:
        return IntDistribution(space["low"], space["high"], log=log, step=step or 1)
    return FloatDistribution(space["low"], space["high"], log=log, step=step)


def _is_step(option: Option, step: Any) -> bool:
    if step is None:
        return True
    kinds = (int,) if option.kind is int else (int, float)
    return isinstance(step, kinds) and not isinstance(step, bool) and step > 0
