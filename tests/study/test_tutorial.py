"""The tutorial as a new user follows it: every command, with the output that it shows."""

import pytest

from tests.level import everything
from tests.study import images, tutorials

PAGE = tutorials.ROOT / "docs" / "tutorial.md"
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
VERBS = ("data import", "init", "check", "launch", "report", "export")


@pytest.mark.ray
@everything
def test_every_command_of_the_tutorial_does_what_it_shows(tmp_path):
    images.write(tmp_path / "images", NAMES, each=40)
    shown = tutorials.commands(PAGE.read_text())
    assert all(any(f"study {verb}" in of.command for of in shown) for verb in VERBS)
    with tutorials.shell(tmp_path) as environment:
        for of in shown:
            done = tutorials.run(of.command, tmp_path, environment)
            assert done.returncode == 0, f"{of.command}\n{done.stderr}"
            assert of.missing(done.stdout) == [], of.command


def test_a_line_that_is_not_there_is_noticed():
    shown = tutorials.commands("```console\n$ a\none ... line\n...\nlast\n```\n")[0]
    assert shown.command == "a"
    assert shown.missing("one more line\nx\nlast") == []
    assert shown.missing("one more line\nlast") == []
    assert shown.missing("one more line\nx") == ["last", "x"]
    assert shown.missing("x\none more line\nlast")[0] == "one ... line"
