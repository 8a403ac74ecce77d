"""What a study file may name: every component and option, in words, as JSON and as Markdown."""

import inspect
import json
from collections.abc import Iterator
from itertools import product
from textwrap import wrap
from typing import Any, get_args

from annotated_types import Ge, Gt, Le, Lt

from study.ranges import distribution, in_words, suggested
from trainables import catalogue
from trainables.catalogue import Option
from trainables.configuration import Training
from trainables.wording import number, shown

COLUMNS = 79
KINDS = {int: "integer", float: "number", bool: "boolean", str: "text"}
LIMITS: dict[type, tuple[str, str]] = {
    Gt: ("gt", "above"),
    Ge: ("ge", "at least"),
    Lt: ("lt", "below"),
    Le: ("le", "at most"),
}
"""Limits of annotated-types: the attribute that holds the number, and how one says it."""

NEEDS = {
    "positives": "several rows of a class",
    "views": "views",
    "teacher": "a teacher",
    "group_logits": "an encoder in a groupface wrapper",
}
"""What losses need: the user's views and encoder; the rest is the platform's own work."""
SHAPES = {"feature vectors": (64,), "images": (1, 64, 64)}


def as_table() -> str:
    """Components by slot with their options, for a terminal of 80 columns."""
    return "\n".join(line for entry in entries() for line in _lines(entry)).strip()


def as_json() -> str:
    """The same as ``{slot: {component: {summary, description, needs, ...}}, training: {...}}``."""
    content: dict[str, Any] = {slot: {} for slot in catalogue.FOLDERS}
    for entry in entries():
        about = {key: entry[key] for key in entry if key not in ("slot", "name", "options")}
        about["options"] = {option.name: _facts(option) for option in entry["options"]}
        if entry["name"]:
            content[entry["slot"]][entry["name"]] = about
        else:
            content[entry["slot"]] = about
    return json.dumps(content, indent=2)


def as_markdown() -> str:
    """One table for each slot: component, what it is, what it needs, options with defaults.

    Aggregators need nothing; of them it is said whether the theorem covers them, or why not.
    """
    blocks: dict[str, list[str]] = {}
    for entry in entries():
        options = ", ".join(
            f"`{option.name}` {plain(option.default)}".strip() for option in entry["options"]
        )
        name = f"`{entry['name']}`" if entry["name"] else ""
        column, rule = "needs", "; ".join(entry["needs"])
        if entry["slot"] == "aggregator":
            column, rule = "theorem", _covered(entry)
        cells = [name, entry["summary"], rule, options or "-"]
        row = " | ".join(cell.replace("|", r"\|") for cell in cells)
        header = f"| {entry['slot']} | what it is | {column} | options and defaults |"
        blocks.setdefault(entry["slot"], [header, "|---|---|---|---|"]).append(f"| {row} |")
    return "\n\n".join("\n".join(rows) for rows in blocks.values())


def entries() -> Iterator[dict[str, Any]]:
    """Every component, and the training as the one without a name."""
    for slot in catalogue.FOLDERS:
        for name in catalogue.names(slot):
            component = catalogue.load(slot, name)
            entry = _entry(slot, name, component)
            if slot == "aggregator":
                entry["outside_hull"] = component.outside_hull
            yield entry
        if catalogue.library(slot):
            yield _lent(slot, catalogue.library(slot))
    yield _entry("training", "", Training)


def _entry(slot: str, name: str, component: Any) -> dict[str, Any]:
    text = inspect.getdoc(component) or ""
    return {
        "slot": slot,
        "name": name,
        "summary": text.partition("\n")[0],
        "description": text.partition("\nArgs:\n")[0].strip(),
        "needs": _needs(slot, component),
        "source": component.__module__.replace(".", "/") + ".py",
        "options": list(catalogue.options(component).values()),
    }


def _needs(slot: str, component: Any) -> list[str]:
    """What must be there for a component, in words; some option values may need less."""
    if slot in ("encoder", "views"):
        fits = [name for name, shape in SHAPES.items() if component.unfit(shape) is None]
        return fits if len(fits) == 1 else []
    if slot != "loss":
        return ["an encoder"] if slot == "wrapper" else []
    options = catalogue.options(component)
    values = [option.choices or (option.default,) for option in options.values()]
    chosen = [dict(zip(options, corner, strict=True)) for corner in product(*values)]
    always = frozenset.intersection(*map(component.needs, chosen))
    sometimes = frozenset.union(*map(component.needs, chosen)) - always
    found = [words for need, words in NEEDS.items() if need in always]
    either = [words for need, words in NEEDS.items() if need in sometimes]
    return [*found, " or ".join(either)] if either else found


def _covered(entry: dict[str, Any]) -> str:
    return entry.get("outside_hull", "each says") or "covered"


def _lent(slot: str, library: Any) -> dict[str, Any]:
    """What a slot may name of a library; options are in the library's own reference."""
    text = inspect.getdoc(library) or ""
    return {
        "slot": slot,
        "name": f"{catalogue.LIBRARY}{catalogue.INSIDE}NAME",
        "summary": text.partition("\n")[0],
        "description": text,
        "needs": [],
        "source": library.__name__.replace(".", "/") + ".py",
        "offered": library.offered(),
        "options": [],
    }


def _facts(option: Option) -> dict[str, Any]:
    facts: dict[str, Any] = {"type": option.kind.__name__, "default": option.default}
    facts |= {word.replace(" ", "_"): limit for word, limit in _limits(option)}
    if option.choices is not None:
        facts["choices"] = list(option.choices)
    if option.suggestion is not None:
        space = suggested(option)
        facts["suggested"] = space if isinstance(space, dict) else {"choices": space}
    return {**facts, "description": option.description}


def _limits(option: Option) -> list[tuple[str, Any]]:
    """Legal range as pairs such as ``("at least", 1)``."""
    return [
        (LIMITS[type(limit)][1], getattr(limit, LIMITS[type(limit)][0]))
        for limit in get_args(option.annotation)
        if type(limit) in LIMITS
    ]


def _lines(entry: dict[str, Any]) -> Iterator[str]:
    yield ""
    yield f"{entry['slot']} {entry['name']}".rstrip()
    for paragraph in entry["description"].split("\n\n"):
        yield from _wrapped(paragraph, 2)
    if entry["needs"]:
        yield from _wrapped(f"needs {'; '.join(entry['needs'])}", 2)
    if entry.get("outside_hull"):
        yield from _wrapped(f"not covered by the theorem: {entry['outside_hull']}", 2)
    if entry.get("offered"):
        yield from _wrapped(", ".join(entry["offered"]), 4)
    for option in entry["options"]:
        yield from _wrapped(f"{option.name} = {plain(option.default)}: {legal(option)}", 4)
        if option.suggestion is not None:
            yield from _wrapped(f"searched, unless named: {searched(option)}", 8)
        yield from _wrapped(option.description, 8)


def legal(option: Option) -> str:
    """The legal values of an option, in words."""
    if option.choices is not None:
        return f"one of {', '.join(map(plain, option.choices))}"
    limits = [f"{word} {number(limit)}" for word, limit in _limits(option)]
    return ", ".join([KINDS[option.kind], *limits])


def searched(option: Option) -> str:
    """What is searched where a study file does not name an option, in words."""
    space = distribution(option, suggested(option))
    return in_words(space) if space else plain(option.default)


def plain(value: Any) -> str:
    """A value as a study file writes it, text without quotes."""
    return value if isinstance(value, str) else shown(value)


def _wrapped(text: str, indent: int) -> list[str]:
    margin = " " * indent
    return wrap(
        text, COLUMNS, initial_indent=margin, subsequent_indent=margin, break_on_hyphens=False
    )
