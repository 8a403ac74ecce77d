"""Processes of a launch, found by what they call themselves."""

from collections.abc import Iterable
from signal import Signals

import psutil

TRAINING = "ray::ResourceTrainable.train"


def descendants(process: int) -> list[psutil.Process]:
    """All that a process has started, and what those have; none if it is gone."""
    try:
        return psutil.Process(process).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def training(process: int) -> list[psutil.Process]:
    """Processes below one that are training trials just now, in order of their numbers."""
    found = (one for one in descendants(process) if title(one).startswith(TRAINING))
    return sorted(found, key=lambda one: one.pid)


def title(process: psutil.Process) -> str:
    """What a process calls itself; nothing if it is gone."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def send(processes: Iterable[psutil.Process], number: Signals) -> int:
    """Sends a signal to those processes that still are there, and says to how many."""
    sent = 0
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue
        sent += 1
    return sent
