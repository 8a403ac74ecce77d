"""What is wrong with a value, in words: shared by study files and the options of components."""

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

LONGEST_SHOWN = 60

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
    "too_long": "must hold at most {max_length} values",
    "too_short": "must hold at least {min_length} value",
    "tuple_type": "must be a list",
}
"""Rules by the type of a pydantic error."""


def broken_rule(error: Mapping[str, Any]) -> str:
    """An error of pydantic as ``must be at least 1, got 0``, with the nearest choice if any."""
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "literal_error":
        choices = re.findall(r"'([^']*)'", context["expected"]) or [context["expected"]]
        close = meant(str(value), choices)
        remedy = f"; did you mean {close}?" if close else ""
        return f"must be one of {', '.join(sorted(choices))}, got {shown(value)}{remedy}"
    if kind == "missing":
        return RULES[kind]
    unworded = error["msg"][0].lower() + error["msg"][1:]
    return f"{RULES.get(kind, unworded).format(**context)}, got {shown(value)}"


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
    return next(iter(difflib.get_close_matches(name, sorted(known), n=1)), None)


def nearest(name: str, known: Iterable[str]) -> str:
    """A remedy for an unknown name: the nearest known one, else all of them."""
    known = sorted(known)
    close = meant(name, known)
    return f"did you mean {close}?" if close else f"choose from {', '.join(known)}"
