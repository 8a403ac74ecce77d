"""What MLflow costs the driver of a study: telling a process of its own, or writing by itself.

Takes a finished study, publishes its results once more into a copy of its folder, and times for
each trial

- ``record``: publishing it, which is what a study without MLflow would do;
- ``follower``: telling the process that writes to MLflow, while that one writes;
- ``itself``: writing the run, as a driver without that process would.

Printed are median, 99th percentile and largest time, and the medians' ratio to ``itself``.
"""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles

import click


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--pause", default=0.05, show_default=True, help="Seconds between two trials.")
def command(folder: Path, pause: float) -> None:
    """Time what the trials of the finished study in FOLDER cost its driver."""
    with tempfile.TemporaryDirectory() as scratch:
        times = _told(folder, Path(scratch) / "told" / folder.name, pause)
        times["itself"] = _written(folder, Path(scratch) / "written" / folder.name)
    for line in _table(times):
        click.echo(line)


def _told(folder: Path, copy: Path, pause: float) -> dict[str, list[float]]:
    """Seconds of publishing each result, and of telling the follower."""
    from study.milestones import in_order
    from study.record import Record
    from study.tracking import Tracker

    results = in_order(Record(folder).results())
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("result.json", "tracking"))
    record = Record(copy)
    times: dict[str, list[float]] = {"record": [], "follower": []}
    with Tracker(record) as tracker:
        for result in results:
            time.sleep(pause)
            with _timed(times["record"]):
                published = record.publish(result.trial, result.attempt, result.outcome)
            with _timed(times["follower"]):
                tracker.notify(published)
    return times


def _written(folder: Path, copy: Path) -> list[float]:
    """Seconds of writing each run."""
    from study.milestones import in_order
    from study.mirror import Mirror
    from study.projection import of_study, of_trial
    from study.record import Record
    from study.tracking_server import address, settings

    shutil.copytree(folder, copy)
    record, times = Record(copy), list[float]()
    with settings():
        mirror = Mirror(record, address(record, None))
        mirror.write(of_study(record, [], is_at_work=True))
        for result in in_order(record.results()):
            with _timed(times):
                mirror.write(of_trial(record, result), record.files(result))
    return times


@contextmanager
def _timed(times: list[float]) -> Iterator[None]:
    began = time.perf_counter()
    yield
    times.append(time.perf_counter() - began)


def _table(times: dict[str, list[float]]) -> list[str]:
    lines = [
        f"{len(times['itself'])} trials",
        f"{'way':<10}{'median ms':>12}{'p99 ms':>10}{'max ms':>10}{'ratio':>10}",
    ]
    for way, seconds in times.items():
        figures = (median(seconds), quantiles(seconds, n=100)[-1], max(seconds))
        ratio = median(seconds) / median(times["itself"])
        cells = "".join(f"{1000 * s:>{w}.3f}" for s, w in zip(figures, (12, 10, 10), strict=True))
        lines.append(f"{way:<10}{cells}{ratio:>10.4f}")
    return lines


if __name__ == "__main__":
    command()
