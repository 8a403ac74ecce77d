"""What a report of many trials takes: a finished study, multiplied.

    python benchmarks/report.py STUDY_FOLDER [--trials 1000]

Copies the study to a temporary folder, adds copies of the trials of its search under new numbers
until there are so many, each a little better or worse, and writes the report of it.
"""

import json
import random
import shutil
import tempfile
from pathlib import Path
from time import perf_counter

import click

from study import report
from study.record import Record
from study.tables import read_tables

MIB = 1 << 20


def multiplied(source: Path, folder: Path, count: int) -> Record:
    """A copy of a study with at least ``count`` trials of the search."""
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("report", "export"))
    generator, trials = random.Random(0), folder / "trials"
    searched = [
        trial
        for trial in sorted(trials.iterdir())
        if json.loads((trial / "trial.json").read_text())["phase"] == "search"
        and (trial / "result.json").exists()
    ]
    for place in range(count - len(searched)):
        _copy(searched[place % len(searched)], trials, 10_000 + place, generator)
    return Record(folder)


def _copy(trial: Path, trials: Path, number: int, generator: random.Random) -> None:
    result = json.loads((trial / "result.json").read_text())
    planned = result["trial"]
    planned |= {"key": f"{planned['combination']}-{number}", "number": number}
    copy = trials / planned["key"]
    shutil.copytree(trial, copy)
    (copy / "trial.json").write_text(json.dumps(planned))
    metrics = result["outcome"]["metrics"]
    for name in metrics:
        metrics[name] *= generator.uniform(0.95, 1.0)
    (copy / "result.json").write_text(json.dumps(result))


@click.command(help=__doc__)
@click.argument("study", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--trials", default=1000, show_default=True)
def main(study: Path, trials: int) -> None:
    """Prints seconds and sizes."""
    with tempfile.TemporaryDirectory() as temporary:
        record = multiplied(study, Path(temporary) / "many", trials)
        began = perf_counter()
        tables = read_tables(record)
        read = perf_counter() - began
        page = report.write(record)
        total = perf_counter() - began - read
        click.echo(f"{len(tables.trials)} trials, {len(tables.bounds)} pairs of groups")
        click.echo(f"read      {read:7.1f} s")
        click.echo(f"report    {total:7.1f} s, reading included")
        click.echo(f"page      {page.stat().st_size / MIB:7.1f} MiB")


if __name__ == "__main__":
    main()
