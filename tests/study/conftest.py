"""What several tests of the command line share."""

import sys

import pytest


@pytest.fixture
def called(monkeypatch, capsys):
    """Calls ``study`` in this process; returns exit code, output and errors."""

    from study.cli import main

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["study", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return ended.value.code or 0, printed.out, printed.err

    return call
