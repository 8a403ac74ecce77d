"""YAML as people mean it: safe, without duplicate keys or aliases, and ``1e-3`` is a number."""

import re
from pathlib import Path
from typing import Any, final

import yaml

from study.errors import ConfigError

LARGEST_BYTES = 1 << 20


@final
class _StrictLoader(yaml.SafeLoader):
    """Refuses what PyYAML silently resolves: a repeated key, an anchor, a key that is no text."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.YAMLError("aliases are not allowed; write the section out")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            name = self.construct_object(key, deep=True)
            if not isinstance(name, str):
                raise yaml.MarkedYAMLError(
                    None, None, f"key {name!r} must be text; quote it", key.start_mark
                )
            if name in seen:
                raise yaml.MarkedYAMLError(None, None, f"key {name} is repeated", key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep)


_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d[\d_]*)(\.[\d_]*)?[eE][-+]?\d+$"),
    list("-+0123456789"),
)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        ConfigError: if the file is missing, too large, not YAML, or no mapping.
    """
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise ConfigError(path, [f"must be smaller than {LARGEST_BYTES} bytes"])
        content = yaml.load(path.read_text(encoding="utf-8"), _StrictLoader)
    except OSError as error:
        raise ConfigError(path, [f"cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise ConfigError(path, ["must be UTF-8 text"]) from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ConfigError(path, [f"not valid YAML: {' '.join(str(error).split())}"]) from error
    if not isinstance(content, dict):
        raise ConfigError(path, ["must be a mapping of sections, as `name: ...`"])
    return content
