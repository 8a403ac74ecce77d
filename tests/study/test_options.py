"""Completion as shells ask for it: by environment variables, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.study.files import finished

SHELLS = ("bash", "zsh", "fish")
HERE = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("studies")
    for name in ("small", "smaller", "other"):
        finished(folder, f"name: {name}", qualities=[0.5])
    (folder / "smoke").mkdir()  # holds no study
    return folder


def asked(shell, variables, folder="."):
    """What the program prints to a shell."""
    process = subprocess.run(
        [sys.executable, "-m", "study"],
        env={**HERE, "_STUDY_COMPLETE": f"{shell}_complete", **variables},
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
    )
    assert process.stderr == ""
    return process.stdout


def completed(*words, folder="."):
    """How bash would complete the last of these words."""
    variables = {"COMP_WORDS": " ".join(("study", *words)), "COMP_CWORD": str(len(words))}
    return asked("bash", variables, folder).split()


def test_verbs_and_their_options_are_completed():
    assert completed("st") == ["plain,status"]
    assert "plain,--small" in completed("init", "--")
    assert completed("data", "im") == ["plain,import"]


def test_names_are_those_of_the_studies_below_the_root(root):
    assert completed("status", "--root", root.name, "s", folder=root.parent) == [
        "plain,small",
        "plain,smaller",
    ]
    names = completed("compare", "--root", str(root), "small", "o")
    assert names == ["plain,other"]


def test_without_a_root_names_are_those_of_the_folder_studies(root, tmp_path):
    (tmp_path / "studies").symlink_to(root)
    assert completed("report", "o", folder=tmp_path) == ["plain,other"]
    assert completed("report", "o", folder=root) == []


def test_a_store_is_not_asked():
    assert completed("status", "--root", "memory://studies", "s") == []


@pytest.mark.parametrize(
    ("words", "kind"),
    [(("init", "x"), "file"), (("check", "x"), "file"), (("status", "--root", "x"), "dir")],
)
def test_files_and_folders_are_left_to_the_shell(words, kind):
    assert completed(*words) == [f"{kind},x"]


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_is_told_in_its_own_way(shell, root):
    words = f"study status --root {root} oth"
    last = "oth" if shell == "fish" else "4"
    told = asked(shell, {"COMP_WORDS": words, "COMP_CWORD": last})
    assert {
        "bash": "plain,other\n",
        "zsh": "plain\nother\n_\n",
        "fish": "plain,other\n",
    }[shell] == told.replace("\t", "")


def source(shell):
    """The script that a shell is given once."""
    return subprocess.run(
        [sys.executable, "-m", "study"],
        env={**HERE, "_STUDY_COMPLETE": f"{shell}_source"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_gets_what_it_needs_to_ask_as_the_readme_says(shell):
    assert f"_STUDY_COMPLETE={shell}_complete" in source(shell)
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    assert f"_STUDY_COMPLETE={shell}_source study" in readme


def test_bash_takes_the_script():
    told = subprocess.run(
        ["bash", "-c", source("bash") + "\ncomplete -p study"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "_study_completion study" in told.stdout
