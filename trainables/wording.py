"""What is wrong with a value, in words: shared by study files and the options of components."""

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

LONGEST_SHOWN = 60
LEAST_LIKENESS = 0.7

RULES = {
    "bool_type": "must be true or false",
    "dict_type": "must be a section of keys",
    "finite_number": "must be finite",
    "float_type": "must be a number",
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "int_type": "must be an integer",
    "less_than": "must be below {lt}",
    "less_than_equal": "must be at most {le}",
    "list_type": "must be a list",
    "missing": "is missing",
    "model_type": "must be a section of keys",
    "string_type": "must be text",
    "string_unicode": "must be Unicode text",
    "too_long": "must hold at most {max_length} values",
    "too_short": "must hold at least {min_length} value",
    "tuple_type": "must be a list",
}
"""Rules by the type of a pydantic error."""


def broken_rule(error: Mapping[str, Any]) -> str:
    """An error of pydantic as ``must be at least 1, got 0``, with the nearest choice if any."""
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "literal_error":
        choices = re.split(", | or ", context["expected"].replace("'", ""))
        close = meant(str(value), choices)
        remedy = f"; did you mean {close}?" if close else ""
        return f"must be one of {', '.join(sorted(choices))}, got {shown(value)}{remedy}"
    if kind == "missing":
        return RULES[kind]
    rule = RULES.get(kind, error["msg"][0].lower() + error["msg"][1:])
    limits = {name: number(limit) for name, limit in context.items()}
    return f"{rule.format(**limits)}, got {shown(value)}"


def number(limit: Any) -> Any:
    """A limit as one says it: 0 and not 0.0."""
    return int(limit) if isinstance(limit, float) and limit.is_integer() else limit


def shown(value: Any) -> str:
    """A value as a study file writes it, shortened where it is long."""
    if value is None:
        return "nothing"
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    if len(text) <= LONGEST_SHOWN:
        return text
    return f"{text[: LONGEST_SHOWN - 3]}..."


def meant(name: str, known: Iterable[str]) -> str | None:
    """The known name that an unknown one was probably meant to be, or None."""
    known = sorted(known)
    longer = [whole for whole in known if len(name) > 1 and whole.startswith(name)]
    if len(longer) == 1:
        return longer[0]
    return next(iter(difflib.get_close_matches(name, known, n=1, cutoff=LEAST_LIKENESS)), None)


def nearest(name: str, known: Iterable[str]) -> str:
    """A remedy for an unknown name: the nearest known one, else all of them."""
    known = sorted(known)
    close = meant(name, known)
    if close:
        return f"did you mean {close}?"
    return f"choose from {', '.join(known)}" if known else "there is none"
