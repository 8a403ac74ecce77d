"""A small study file that is right, and what happens when it is changed."""

import json

import pytest

from study.check import prepare
from study.errors import ConfigError

SMALL = {
    "name": "small",
    "data": {"source": "digits", "split": "points", "folds": 2},
    "search": {
        "encoder": {"linear": {"width": 16}},
        "aggregator": {"mean": {}},
        "loss": {"triplet": {"level": "groups", "mining": "all"}},
        "training": {"epochs": 1, "group_size": 2},
    },
    "protocol": {"sizes": [1, 2]},
}


def written(*changes):
    """The text of a study file; ``data.folds: 3`` changes it, ``-data.folds`` takes a key out."""
    content, values = json.loads(json.dumps(SMALL)), {}
    for change in changes:
        path, _, value = change.partition(": ")
        *above, last = path.removeprefix("-").split(".")
        section = content
        for key in above:
            section = section.setdefault(key, {})
        if change.startswith("-"):
            del section[last]
        else:
            section[last] = f"value {len(values)}"
            values[f'"value {len(values)}"'] = value
    text = json.dumps(content)
    for mark, value in values.items():
        text = text.replace(mark, value)
    return text


def accepted(folder, *changes, **arguments):
    """The study of a changed file, which must be right."""
    path = folder / "study.yaml"
    path.write_text(written(*changes), encoding="utf-8")
    return prepare(path, arguments.pop("root", folder), **arguments)


def refused(folder, *changes, **arguments):
    """The problems of a changed file, which must be wrong."""
    with pytest.raises(ConfigError) as caught:
        accepted(folder, *changes, **arguments)
    return caught.value.problems
