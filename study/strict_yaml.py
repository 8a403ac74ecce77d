"""YAML as people mean it: ``1e-3`` is a number, ``no`` and ``010`` are text, no key is repeated."""

import re
from pathlib import Path
from typing import Any, final

import yaml

from study.errors import ConfigError

LARGEST_BYTES = 1 << 17


@final
class _StrictLoader(yaml.SafeLoader):
    """Refuses aliases, tags, repeated keys and keys that are no text.

    Of plain scalars only those that look like it to everyone are no text: integers in decimal,
    floats with or without exponent, true, false and null. PyYAML would also turn ``no`` into a
    boolean, ``010`` into 8, ``1:30`` into 90 and ``2024-01-01`` into a date.
    """

    yaml_implicit_resolvers = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            raise _refusal("aliases are not allowed; write the section out", event)
        if getattr(event, "tag", None) is not None:
            raise _refusal("tags are not allowed; write plain values", event)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            name = self.construct_object(key, deep=True)
            if not isinstance(name, str):
                raise _refusal(f"key {name!r} must be text; quote it", key)
            if name in seen:
                raise _refusal(f"key {name} is repeated", key)
            seen.add(name)
        return super().construct_mapping(node, deep)


_PLAIN = {
    "null": (r"^(~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    "bool": (r"^(true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    "int": (r"^[-+]?(0|[1-9][0-9_]*)$", list("-+0123456789")),
    "float": (
        r"^([-+]?(\d[\d_]*)?\.\d[\d_]*([eE][-+]?\d+)?|[-+]?\d[\d_]*\.?([eE][-+]?\d+)"
        r"|[-+]?\d[\d_]*\.|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$",
        list("-+.0123456789"),
    ),
}
for _tag, (_pattern, _first) in _PLAIN.items():
    _StrictLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _first)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        ConfigError: if the file is missing, too large, not YAML, or no mapping.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_BYTES + 1)
    except OSError as error:
        raise ConfigError(path, [f"cannot be read: {error.strerror}"]) from error
    if len(raw) > LARGEST_BYTES:
        raise ConfigError(path, [f"must not be larger than {LARGEST_BYTES} bytes"])
    content = _parsed(path, raw)
    if not isinstance(content, dict):
        raise ConfigError(path, ["must be a mapping of sections, as `name: ...`"])
    return content


def _parsed(path: Path, raw: bytes) -> Any:
    try:
        return yaml.load(raw.decode("utf-8"), _StrictLoader)
    except UnicodeDecodeError as error:
        raise ConfigError(path, ["must be UTF-8 text"]) from error
    except yaml.MarkedYAMLError as error:
        raise ConfigError(path, [_located(error)]) from error
    except yaml.YAMLError as error:
        text = " ".join(str(error).split())
        raise ConfigError(path, [f"not valid YAML: {text}"]) from error
    except RecursionError as error:
        raise ConfigError(path, ["is nested too deeply"]) from error
    except ValueError as error:  # Python reads no integer of more than 4300 digits
        raise ConfigError(path, ["holds a number with too many digits"]) from error


def _refusal(problem: str, at: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(None, None, problem, at.start_mark)


def _located(error: yaml.MarkedYAMLError) -> str:
    """Where, what PyYAML was doing, and the problem."""
    mark = error.problem_mark or error.context_mark
    place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "not valid YAML"
    return ": ".join(filter(None, [place, error.context, error.problem]))
