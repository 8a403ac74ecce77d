"""Study files changed at random: always a study or a list of problems, never a traceback."""

import json
import random
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from study.check import prepare
from study.errors import ConfigError
from tests.study.files import SMALL

FILES = 200
SYNTAX = "{}[]:,\"'#&*!|>-?%@`\t\n ~0e"
JUNK = [
    *(None, True, False, 0, -1, 1, 2.5, 3, 10**30, -(10**400), 1e308, 1e-320),
    *(float("inf"), float("nan"), "", "x", "1e-3", "points", "../..", "a\nb", "\x1b[31m", "\ud800"),
    *([], [[]], [None], [1, "a"], [1, 1], [float("nan")] * 2, [{"low": 1}], list(range(200))),
    *({}, {"": 1}, {"low": 1}, {"low": 3, "high": 1}, {"low": "a", "high": None}),
    *({"low": 0.1, "high": 0.9, "step": 1e-300}, {"low": 1, "high": 2, "log": "yes"}),
    *({"choices": []}, {"choices": {}}, {"choices": [1, 2], "log": True}, {"mean": None}),
    *({"linear": {"width": {"low": 1, "high": 10**9}}}, {"noise": {}}, {"positives": "views"}),
]
NAMES = [
    *("encoder", "aggregator", "loss", "views", "training", "linear", "mean", "triplet", "infonce"),
    *("margin", "level", "width", "group_size", "sizes", "objectives", "uri", "low", "choices"),
    *("", "x", "groups_per_class", "group_views", "source", "split", "folds", "__init__", "a.b"),
]


def mutate(content, chance):
    """Replaces, adds, removes or misspells something at a random depth."""
    section = content
    while True:
        inner = [value for value in section.values() if isinstance(value, dict) and value]
        if not inner or chance.random() < 0.3:
            break
        section = chance.choice(inner)
    key = chance.choice([*section, chance.choice(NAMES)])
    match chance.randrange(5):
        case 0 if key in section:
            del section[key]
        case 1 if key in section:
            section[key[:1] + key[2:]] = section.pop(key)
        case 2 if key in section:
            section[key] = [section[key], chance.choice(JUNK)]
        case _:
            section[key] = json.loads(json.dumps(chance.choice(JUNK)))


def yaml_of(content):
    """JSON is YAML, but for its words for infinity and not a number."""
    text = json.dumps(content).replace("NaN", ".nan")
    return re.sub("-?Infinity", lambda found: found[0].replace("Infinity", ".inf"), text)


def verdict(folder, text):
    """The problems of a file, or None if it makes a study; anything else fails the test."""
    path = folder / "study.yaml"
    path.write_text(text)
    try:
        prepare(path, folder)
    except ConfigError as error:
        str(error).encode()
        return error.problems
    return None


@pytest.fixture
def content(tmp_path):
    """A study file of few points, so that many of its kind are checked in a second."""
    points = np.random.default_rng(0).normal(size=(80, 3)).tolist()
    table = pa.table({"features": points, "label": [*"abcd"] * 20})
    pq.write_table(table, tmp_path / "points.parquet")
    data = SMALL["data"] | {"source": str(tmp_path / "points.parquet")}
    training = SMALL["search"]["training"] | {"classes_per_batch": 4}
    return SMALL | {"data": data, "search": SMALL["search"] | {"training": training}}


def test_whatever_is_put_anywhere_there_is_a_study_or_a_list_of_problems(tmp_path, content):
    kinds = set()
    for seed in range(FILES):
        changed, chance = json.loads(json.dumps(content)), random.Random(seed)
        for _ in range(chance.randint(1, 4)):
            mutate(changed, chance)
        problems = verdict(tmp_path, yaml_of(changed))
        assert problems is None or all(problem.strip() for problem in problems), changed
        kinds.add(problems is None)
    assert kinds == {True, False}


def test_whatever_text_a_file_holds_there_is_a_study_or_a_list_of_problems(tmp_path, content):
    for seed in range(FILES):
        text, chance = list(json.dumps(content)), random.Random(seed)
        for _ in range(chance.randint(1, 6)):
            place = chance.randrange(len(text))
            text[place : place + chance.randint(0, 3)] = chance.choice(SYNTAX)
        assert verdict(tmp_path, "".join(text)) != []
