"""Signals that reach a launch."""

import os
import signal
from io import StringIO

import pytest
from optuna.storages import InMemoryStorage
from rich.console import Console

from study.conductor import Conductor
from study.interruption import Interruption
from study.manifest import manifest
from study.proposals import Proposals
from study.record import Record
from tests.study.files import accepted

SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.fixture
def conductor(tmp_path):
    study = accepted(tmp_path)
    record = Record.create(tmp_path / "small", manifest(study))
    proposals = [Proposals(record, part, InMemoryStorage()) for part in study.combinations]
    return Conductor(record, proposals, unfinished=[], observer=print, concurrent=1)


@pytest.mark.parametrize("number", SIGNALS)
def test_before_trials_run_a_signal_ends_the_launch_at_once(number):
    with pytest.raises(KeyboardInterrupt), Interruption(Console(file=StringIO())):
        os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", SIGNALS)
def test_while_trials_run_the_first_signal_stops_them_and_the_second_the_launch(conductor, number):
    shown = StringIO()
    with Interruption(Console(file=shown, width=100)) as interruption:
        interruption.conductor = conductor
        os.kill(os.getpid(), number)
        assert isinstance(conductor.error, KeyboardInterrupt)
        assert shown.getvalue().startswith("stopping: running trials save their state")
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)


def test_signals_that_another_took_meanwhile_are_taken_back():
    with Interruption(Console(file=StringIO())) as interruption:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        interruption.listen()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)


def test_afterwards_signals_do_what_they_did():
    before = [signal.getsignal(number) for number in SIGNALS]
    with Interruption(Console(file=StringIO())):
        assert [signal.getsignal(number) for number in SIGNALS] != before
    assert [signal.getsignal(number) for number in SIGNALS] == before
