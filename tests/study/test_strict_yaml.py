import math
from pathlib import Path

import pytest

from study.errors import ConfigError
from study.strict_yaml import LARGEST_BYTES, read_yaml


def read(folder, text):
    path = folder / "study.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_yaml(path)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E5", 100000.0),
        ("-2.5e+3", -2500.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("1e400", math.inf),
        ("-.inf", -math.inf),
        ("-3", -3),
        ("1_000", 1000),
        ("true", True),
        ("~", None),
        ("", None),
        ("no", "no"),
        ("on", "on"),
        ("010", "010"),
        ("0x1f", "0x1f"),
        ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"),
        ("1.2.3", "1.2.3"),
        ("'1'", "1"),
        ("<<", "<<"),
        ("[1, a]", [1, "a"]),
    ],
)
def test_scalars_are_what_they_look_like(tmp_path, text, value):
    assert read(tmp_path, f"key: {text}") == {"key": value}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: 2\na: 3", "line 3, column 1: key a is repeated"),
        ("a: {b: 1, b: 2}", "line 1, column 11: key b is repeated"),
        ("1: a", "line 1, column 1: key 1 must be text; quote it"),
        ("null: a", "line 1, column 1: key None must be text; quote it"),
        ("? [a]\n: 1", "line 1, column 3: key ['a'] must be text; quote it"),
        (
            "a: &x {b: 1}\nc: *x",
            "line 2, column 4: aliases are not allowed; write the section out",
        ),
        ("a: !!int ''", "line 1, column 4: tags are not allowed; write plain values"),
        (
            "a: !!python/object:os.system {}",
            "line 1, column 4: tags are not allowed; write plain values",
        ),
        (
            "a: [1, 2",
            "line 1, column 9: while parsing a flow sequence: expected ',' or ']', but got "
            "'<stream end>'",
        ),
        ("a: b: c", "line 1, column 5: mapping values are not allowed here"),
        (
            "a:\n\t- 1",
            "line 2, column 1: while scanning for the next token: found character '\\t' that "
            "cannot start any token",
        ),
        (
            "a: 1\n---\nb: 2",
            "line 2, column 1: expected a single document in the stream: but found another "
            "document",
        ),
        ("", "must be a mapping of sections, as `name: ...`"),
        ("- a", "must be a mapping of sections, as `name: ...`"),
        ("a", "must be a mapping of sections, as `name: ...`"),
        ("a: " + "[" * 900 + "]" * 900, "is nested too deeply"),
        ("a: " + "9" * 5000, "holds a number with too many digits"),
        ("a: ü".encode("latin-1"), "must be UTF-8 text"),
        (b"a" * (LARGEST_BYTES + 1), f"must not be larger than {LARGEST_BYTES} bytes"),
    ],
)
def test_text_that_is_no_plain_mapping_is_refused(tmp_path, text, problem):
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    assert caught.value.problems == [problem]


def test_characters_that_text_cannot_hold_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="not valid YAML: unacceptable character #x0000"):
        read(tmp_path, b"a: \x00")


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("missing.yaml", "cannot be read: No such file or directory"),
        (".", "cannot be read: Is a directory"),
        ("n" * 300, "cannot be read: File name too long"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(tmp_path, name, problem):
    with pytest.raises(ConfigError) as caught:
        read_yaml(tmp_path / name)
    assert caught.value.problems == [problem]


def test_a_file_that_never_ends_is_refused_like_a_large_one():
    with pytest.raises(ConfigError, match="must not be larger than"):
        read_yaml(Path("/dev/zero"))
