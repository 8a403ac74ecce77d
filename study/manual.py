"""The reference as one page, written from the code: ``python -m study.manual`` prints it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import click

from study import metric_meanings, reference
from study.cli import cli
from study.config import StudyConfig
from study.metric_meanings import Meaning
from trainables.wording import number, shown

HEAD = """\
# Reference

Written from the code by `make reference`, and tested to be current: change the code, not this page.
`study components` prints the part on components, with the sources of formulas.

- [Study file](#study-file)
- [Components](#components)
- [Metrics](#metrics)
- [Command line](#command-line)
"""
FILE = """\
## Study file

YAML without tags and aliases; unknown keys are refused. Of an option of a component, or of the
training, a value is fixed; `[a, b]` or `{choices: [a, b]}` is searched among these; `{low: a, high:
b}` between these, with `log: true` or `step: c` if wanted. An option that is not named is searched
in the space that its component suggests, if any, else it keeps its default.
"""
LIMITS = {
    "minimum": "at least",
    "exclusiveMinimum": "above",
    "maximum": "at most",
    "exclusiveMaximum": "below",
}
"""Limits of JSON Schema, and how one says them."""
KINDS = {
    "integer": "integer",
    "number": "number",
    "boolean": "true or false",
    "string": "text",
    "array": "list",
    "object": "section",
}
OPTION_HEADS = ("option", "legal", "default", "searched, unless named", "meaning")


def page() -> str:
    """Study file, components, metrics and command line, as Markdown."""
    parts = (_study_file(), _components(), _metrics(), _command_line())
    return "\n\n".join([HEAD.strip(), *("\n\n".join(part) for part in parts)]) + "\n"


def _study_file() -> Iterator[str]:
    yield FILE.strip()
    yield from _section(StudyConfig.model_json_schema(), "")


def _section(schema: Mapping[str, Any], path: str) -> Iterator[str]:
    """The table of a section's keys, then those of the sections inside it."""
    definitions = schema["$defs"]
    rows, inner = [], []
    for name, key in schema["properties"].items():
        # pydantic writes a reference with a default beside it, and one that may be null as a choice
        found = next((part for part in key.get("anyOf", ()) if part.get("type") != "null"), key)
        if "$ref" in found:
            inner.append((name, definitions[found["$ref"].rpartition("/")[2]]))
        else:
            is_needed = name in schema.get("required", ())
            default = "must be named" if is_needed else _value(key.get("default"))
            rows.append((f"`{name}`", _legal(found), default, key.get("description", "")))
    if path:
        yield f"### `{path}`"
        yield schema["description"]
    yield _table(("key", "legal", "default", "meaning"), rows)
    for name, section in inner:
        yield from _section({**section, "$defs": definitions}, f"{path}.{name}".strip("."))


def _legal(key: Mapping[str, Any]) -> str:
    if "enum" in key:
        return ", ".join(f"`{choice}`" for choice in key["enum"])
    limits = [f"{word} {number(key[limit])}" for limit, word in LIMITS.items() if limit in key]
    of = f" of {_legal(key['items'])}" if "items" in key else ""
    return ", ".join([f"{KINDS[key.get('type', 'object')]}{of}", *limits])


def _value(default: Any) -> str:
    if default is None or default == {}:
        return "-"
    values = default if isinstance(default, list) else [default]
    text = ", ".join(value if isinstance(value, str) else shown(value) for value in values)
    return f"`[{text}]`" if isinstance(default, list) else f"`{text}`"


def _components() -> Iterator[str]:
    yield "## Components"
    for entry in reference.entries():
        yield f"### {entry['slot']} `{entry['name']}`" if entry["name"] else "### training"
        yield entry["description"].replace("``", "`")
        if entry["needs"]:
            yield f"Needs {'; '.join(entry['needs'])}."
        if entry.get("outside_hull"):
            yield f"Not covered by the theorem: {entry['outside_hull']}."
        if entry.get("offered"):
            yield f"Offered: {', '.join(f'`{name}`' for name in entry['offered'])}."
        if entry["options"]:
            yield _table(OPTION_HEADS, [_option(option) for option in entry["options"]])


def _option(option: Any) -> tuple[str, ...]:
    searched = reference.searched(option) if option.suggestion is not None else "-"
    default = reference.plain(option.default)
    return (
        f"`{option.name}`",
        reference.legal(option),
        f"`{default}`" if default else "must be named",
        searched,
        option.description.replace("``", "`"),
    )


def _metrics() -> Iterator[str]:
    heads, about = ("metric", "what it is", "unit", "better"), metric_meanings
    yield "## Metrics\n\nA name is a prefix, a quantity and a place, as `val/map_at_r.size5`."
    for head, words in (("prefix", about.PREFIXES), ("place", about.PLACES)):
        yield _table((head, "of what"), [(f"`{name}`", what) for name, what in words.items()])
    yield "`train/loss` is the mean loss of an epoch; `val/` and `test/` have:"
    yield _table(
        heads,
        [
            *_rows(about.QUALITY, (".points", ".sizeN")),
            *_rows(about.GROUPS, (".sizeN",)),
            *_rows(about.GROUP_AWARE, (".points",)),
        ],
    )
    yield "`bound/` has:"
    yield _table(heads, [*_rows(about.OVERALL, ("",)), *_rows(about.MEASURED, (".sizeN",))])
    yield (
        f"and of each bound - {', '.join(f'`{name}`' for name in about.BOUNDS)}, see "
        f"[theory.md](theory.md); {' and '.join(f'`{name}`' for name in about.INPUT_BOUNDS)} where "
        "`lipschitz` is known - where the theorem covers the aggregator:"
    )
    yield _table(heads, list(_rows(about.OF_BOUND, (".sizeN",), "BOUND")))


def _rows(
    meanings: Mapping[str, Meaning], places: tuple[str, ...], before: str = ""
) -> Iterator[tuple[str, ...]]:
    for name, meaning in meanings.items():
        yield (", ".join(f"`{before}{name}{place}`" for place in places), *meaning)


def _command_line() -> Iterator[str]:
    yield "## Command line\n\nExit codes: 0 done, 1 some trials failed, 2 a mistake, 130 stopped."
    yield from _commands(click.Context(cli, info_name="study"))


def _commands(context: click.Context) -> Iterator[str]:
    """Every verb with its options."""
    command = context.command
    if isinstance(command, click.Group):
        for verb in command.commands.values():
            yield from _commands(click.Context(verb, context, verb.name))
        return
    yield f"### `{command.get_usage(context).removeprefix('Usage: ')}`"
    yield command.help or ""
    options = [option for option in command.params if isinstance(option, click.Option)]
    if options:
        yield _table(("option", "default", "meaning"), [_flag(option) for option in options])


def _flag(option: click.Option) -> tuple[str, ...]:
    names, meaning = option.get_help_record(click.Context(cli)) or ("", "")
    default = f"`{option.default}`" if option.show_default else "-"
    return f"`{names}`", default, meaning.partition("  [")[0]


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join("| " + " | ".join(map(_cell, row)) + " |" for row in lines)


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


if __name__ == "__main__":
    click.echo(page(), nl=False)
