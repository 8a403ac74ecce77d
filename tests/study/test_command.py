"""Commands as the user would have to type them, whichever way the program was started."""

import sys

import pytest

from study.command import command, same_again


@pytest.fixture
def started(monkeypatch):
    """Starts the program as this argument list, with this search path."""

    def start(*arguments, path=""):
        monkeypatch.setattr(sys, "argv", [str(argument) for argument in arguments])
        monkeypatch.setenv("PATH", str(path))

    return start


@pytest.fixture
def installed(tmp_path):
    """The console script in the folder of an environment."""
    script = tmp_path / "bin" / "study"
    script.parent.mkdir()
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    return script


def test_a_script_on_the_path_is_called_by_its_name(started, installed):
    started(installed, path=installed.parent)
    assert command("ui") == "study ui"


def test_a_script_of_an_environment_that_is_not_active_is_called_by_its_place(started, installed):
    started(installed)
    assert command("ui") == f"{installed} ui"


def test_a_script_that_another_hides_is_called_by_its_place(started, installed, tmp_path):
    other = tmp_path / "other" / "study"
    other.parent.mkdir()
    installed.rename(other)
    installed.write_text("#!/bin/sh\n")
    installed.chmod(0o755)
    started(other, path=installed.parent)
    assert command("ui") == f"{other} ui"


def test_a_module_is_called_with_the_python_that_ran_it(started):
    started("/somewhere/study/__main__.py")
    assert command("ui") == f"{sys.executable} -m study ui"


@pytest.mark.parametrize("called", ["/somewhere/pytest/__main__.py", "notebook.py", ""])
def test_from_another_program_the_command_is_named_plainly(started, called):
    started(called)
    assert command("ui") == "study ui"


def test_words_are_quoted_for_a_shell(started, tmp_path):
    started("study", path="")
    assert command("report", "a b", "--root", tmp_path / "it's") == (
        f"study report 'a b' --root '{tmp_path}/it'\"'\"'s'"
    )


def test_the_same_command_again_has_the_same_arguments(started):
    started("/somewhere/study/__main__.py", "launch", "my study.yaml", "--root", "there")
    assert same_again() == f"{sys.executable} -m study launch 'my study.yaml' --root there"
