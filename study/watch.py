"""The state of a study, shown again and again while a driver is at work on it."""

import time

from rich.console import Console
from rich.live import Live
from rich.text import Text

from study import lease
from study.finish import headline, status
from study.record import Record

SECONDS = 2.0
PLAIN_SECONDS = 10.0
"""Between two lines where there is no terminal."""


def watch(record: Record, console: Console) -> None:
    """Shows how far a study is until no driver is at work on it, and then once more.

    Args:
        record: of the study.
        console: a terminal, which is drawn anew; anything else gets a line now and then.
    """
    if console.is_terminal:
        with Live(console=console, auto_refresh=False) as live:
            while lease.is_held(record):
                live.update(Text(status(record)), refresh=True)
                time.sleep(SECONDS)
            live.update(Text(status(record)), refresh=True)
        return
    while lease.is_held(record):
        _say(console, headline(record))
        time.sleep(PLAIN_SECONDS)
    _say(console, status(record))


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)
