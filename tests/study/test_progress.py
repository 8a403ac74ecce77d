"""What a terminal shows of a study, and what a file that stands in for one gets."""

import os
import re
from contextlib import suppress
from io import StringIO
from types import SimpleNamespace

import pytest
from rich.console import Console

from study import progress
from study.progress import PLAIN_SECONDS, Progress, Tally, Terminal
from study.record import Result, Trial
from trainables.attempt import Outcome

QUALITY = "map_at_r.size5"


@pytest.fixture
def clock(monkeypatch):
    """A clock that moves only when it is told to."""
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def result(state="complete", quality=0.5, phase="search", combination="a"):
    metrics = {f"val/{QUALITY}": quality} if state == "complete" else {}
    trial = Trial("key", phase, combination, 0, (1,), {})
    return Result(trial, 1, Outcome(state, "", metrics, [], [], 1.0, 2.0))


def plain(width=80):
    """A console that is no terminal, and what it is given."""
    file = StringIO()
    return Console(file=file, width=width), file


def terminal(width=100):
    file = StringIO()
    return Console(file=file, width=width, force_terminal=True), file


def test_a_tally_counts_finished_trials_of_both_phases_by_state():
    tally = Tally(10, QUALITY)
    for state in ("complete", "complete", "pruned", "failed"):
        tally.add(result(state))
    tally.add(result(phase="confirmation"))
    assert dict(tally.states) == {"complete": 3, "pruned": 1, "failed": 1}
    assert tally.finished == 5


def test_the_best_is_that_of_complete_search_trials_by_combination():
    tally = Tally(10, QUALITY)
    for quality in (0.25, 0.75, 0.5):
        tally.add(result(quality=quality))
    tally.add(result(quality=0.125, combination="b"))
    tally.add(result(quality=0.9, phase="confirmation"))
    tally.add(result("pruned"))
    assert tally.best == {"a": 0.75, "b": 0.125}


def test_qualities_below_zero_are_qualities():
    tally = Tally(10, QUALITY)
    tally.add(result(quality=-0.5))
    assert tally.best == {"a": -0.5}


def test_a_line_tells_the_whole_state(clock):
    tally = Tally(18, QUALITY)
    shown = Progress(tally, plain()[0])
    assert shown.line() == "0/18 trials: 0 complete, 0 pruned, 0 failed, 0 running"
    for state in ("complete", "pruned", "failed"):
        tally.add(result(state))
    tally.running = 4
    clock.now += 60
    assert shown.line() == (
        "3/18 trials: 1 complete, 1 pruned, 1 failed, 4 running, about 5 min left"
    )


def test_long_times_are_told_in_hours(clock):
    tally = Tally(5, QUALITY)
    shown = Progress(tally, plain()[0])
    tally.add(result())
    clock.now += 10000
    assert shown.line().endswith(", about 11.1 h left")


def test_trials_of_an_earlier_launch_do_not_make_this_one_look_faster(clock):
    tally = Tally(12, QUALITY)
    for _ in range(8):
        tally.add(result())
    shown = Progress(tally, plain()[0])
    assert "left" not in shown.line()
    tally.add(result())
    clock.now += 10
    assert shown.line().endswith(", about 30 s left")


def test_nothing_is_said_to_be_left_of_a_finished_study(clock):
    tally = Tally(1, QUALITY)
    shown = Progress(tally, plain()[0])
    tally.add(result())
    clock.now += 10
    assert shown.line() == "1/1 trials: 1 complete, 0 pruned, 0 failed, 0 running"


def test_plain_lines_come_every_few_seconds_at_most_and_once_at_the_end(clock):
    console, file = plain()
    with Progress(Tally(8, QUALITY), console) as shown:
        for _ in range(30):
            shown.show()
            clock.now += PLAIN_SECONDS / 10
        assert len(file.getvalue().splitlines()) == 3
    assert len(file.getvalue().splitlines()) == 4


def test_plain_lines_are_never_broken_or_decorated(clock):
    console, file = plain(width=80)
    tally = Tally(1_000_000, QUALITY, running=1_000)
    with Progress(tally, console) as shown:
        for state in ("complete", "pruned", "failed"):
            tally.states[state] = 100_000
        clock.now += 86_400
        shown.show()
    first, last = file.getvalue().splitlines()
    assert first == last
    assert len(first) > 80
    assert first.isprintable()


def test_a_study_that_fails_still_leaves_its_last_line(clock):
    console, file = plain()
    with pytest.raises(KeyError), Progress(Tally(8, QUALITY), console):
        raise KeyError
    assert file.getvalue().startswith("0/8 trials")


def test_a_terminal_shows_the_state_and_the_best_combination_first(clock):
    console, file = terminal()
    tally = Tally(8, QUALITY)
    with Progress(tally, console) as shown:
        tally.add(result(quality=0.25, combination="first"))
        tally.add(result(quality=0.75, combination="second"))
        shown.show()
    text = file.getvalue()
    assert f"best val/{QUALITY}" in text
    assert "\n2/8 trials: 2 complete, 0 pruned, 0 failed" in re.sub(
        r"\x1b\[[0-9;?]*[A-Za-z]", "", text
    )
    assert 0 < text.index("0.7500") < text.index("0.2500")


def test_a_terminal_keeps_one_line_of_it_at_the_end(clock):
    console, file = terminal()
    with Progress(Tally(8, QUALITY), console) as shown:
        shown.show()
    # The last thing that erases a line comes before the line that stays.
    kept = file.getvalue().rsplit("\x1b[2K", 1)[-1]
    assert kept == "0/8 trials: 0 complete, 0 pruned, 0 failed, 0 running\n"


def test_a_terminal_that_is_gone_is_quiet(monkeypatch):
    read, write = os.pipe()
    os.close(read)
    with suppress(BrokenPipeError), os.fdopen(write, "w", buffering=1) as gone:
        monkeypatch.setattr("sys.stderr", gone)
        terminal = Terminal()
        assert not terminal.quiet
        for _ in range(2):
            with Progress(Tally(10, QUALITY), terminal) as shown:
                shown.show()
    assert terminal.quiet
