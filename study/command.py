"""Commands that messages tell a user to type, written as this user calls the program."""

import shlex
import shutil
import sys
from pathlib import Path

NAME = "study"


def command(*words: object) -> str:
    """``study`` with these words behind it, ready to be pasted into a shell."""
    return shlex.join([*_program(), *map(str, words)])


def same_again() -> str:
    """The command that this process was started with."""
    return command(*sys.argv[1:])


def _program() -> list[str]:
    called = sys.argv[0]
    if Path(called).parts[-2:] == (NAME, "__main__.py"):
        return [sys.executable, "-m", NAME]
    # From a virtual environment that is not active, `study` alone would not be found.
    if Path(called).name == NAME and shutil.which(NAME) != called:
        return [called]
    return [NAME]
