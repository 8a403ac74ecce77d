"""The command line: each verb parses, calls one function, prints one result or one error."""

import errno
import os
import sys
from pathlib import Path
from typing import Any

import click

from study.command import command, same_again
from study.components import components
from study.errors import StudyError
from study.options import (
    data_argument,
    data_option,
    file_argument,
    name_argument,
    names_argument,
    root_option,
)

STORAGE_FAULTS = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT)
DONE, SOME_FAILED, USER_MISTAKE, INTERRUPTED = 0, 1, 2, 130

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="groupstudy")
def cli() -> None:
    """Which encoder, aggregator and loss represent groups of points best?"""


@cli.command()
@file_argument
@data_option
@root_option
@click.option("--packs", type=click.IntRange(1), help="Packs at a time, where it is to run.")
@click.option("--quick", is_flag=True, help="Do not try what it will cost.")
def check(file: Path, data: str | None, root: Path, packs: int | None, quick: bool) -> None:
    """Validate a study file against its components and data; show what would run, and its cost."""
    study = _prepared(file, data, root)
    from study.describe import describe, describe_cost

    click.echo(describe(study))
    if not quick:
        from study.cost import cost

        click.echo(f"\n{describe_cost(cost(study, packs))}")


@cli.command()
@file_argument
@data_option
@root_option
@click.option("--address", help="Ray cluster to run on; by default one on this machine.")
def launch(file: Path, data: str | None, root: Path, address: str | None) -> int:
    """Run a study, or continue it; then report and export the best configurations."""
    study = _prepared(file, data, root)
    from study.finish import finish
    from study.launch import launch as run

    folder = root / study.config.name
    try:
        record = run(study, root, address)
    except KeyboardInterrupt:
        click.echo(f"interrupted; `{same_again()}` continues {folder}", err=True)
        return INTERRUPTED
    finished = finish(record)
    click.echo(finished.text)
    return SOME_FAILED if finished.failed else DONE


@cli.command()
@name_argument
@root_option
@click.option("--watch", "is_watched", is_flag=True, help="Again and again, until it has ended.")
def status(name: str, root: Path, is_watched: bool) -> None:
    """Show how far a study is: states, best of each combination, failures."""
    from study.finish import status as describe_status

    record = _record(name, root)
    if is_watched:
        from rich.console import Console

        from study.watch import watch

        watch(record, Console())
    else:
        click.echo(describe_status(record))


@cli.command()
@name_argument
@root_option
@click.option("--uri", help="Tracking address, instead of the study's own.")
def sync(name: str, root: Path, uri: str | None) -> None:
    """Bring MLflow up to date with the record; doing it twice changes nothing."""
    from study.sync import sync as synchronise

    click.echo(synchronise(_record(name, root), uri))


@cli.command()
@name_argument
@root_option
def report(name: str, root: Path) -> None:
    """Write the report: one HTML file, and its pictures."""
    from study.report import write

    click.echo(write(_record(name, root)))


@cli.command()
@names_argument
@root_option
@click.option(
    "--to", type=click.Path(path_type=Path, file_okay=False), help="Folder for a page with figures."
)
def compare(names: tuple[str, ...], root: Path, to: Path | None) -> None:
    """Show the leaderboards of two or more studies side by side."""
    from study import compare as comparing

    click.echo(comparing.compare(root, names))
    if to is not None:
        click.echo(f"page {comparing.write(root, names, to)}")


@cli.command()
@name_argument
@root_option
@click.option("--to", type=click.Path(path_type=Path, file_okay=False), help="Target folder.")
def export(name: str, root: Path, to: Path | None) -> None:
    """Write configuration, weights, model card and program of the best configurations."""
    from study.export import export as write

    record = _record(name, root)
    for folder in write(record, to or record.folder / "export", with_programs=True):
        click.echo(folder)


@cli.command()
@file_argument
@data_option
@click.option("--confirm", is_flag=True, help="Repeat every confirmation, on the test points.")
def train(file: Path, data: str | None, confirm: bool) -> int:
    """Train an exported configuration again and compare with the recorded figures."""
    from study.train import train as repeat

    differing = 0
    for repetition in repeat(file, "confirmation" if confirm else "search", data):
        click.echo(repetition.text)
        differing += len(repetition.differing)
    return SOME_FAILED if differing else DONE


@cli.command()
@root_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True)
@click.option(
    "--password-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Ask for passwords; holds that of the user `admin`.",
)
@click.option("--allowed-host", multiple=True, help="NAME:PORT browsers may use; repeatable.")
@click.option("--database", help="postgresql://... instead of the file beside the studies.")
@click.option("--artifacts", help="Folder or address of MLflow's files.")
def ui(root: Any, allowed_host: tuple[str, ...], **options: Any) -> None:
    """Open MLflow on this machine's loopback address, or serve it behind passwords."""
    from study.ui import Service, serve

    serve(Service(root, allowed_hosts=allowed_host, **options))


@cli.command()
@data_argument
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="A new file.")
@click.option("--small", is_flag=True, help="For a first look: 2 combinations, 4 trials of each.")
def init(data: str, out: Path | None, small: bool) -> None:
    """Write a commented study file that fits DATA: `digits` or a Parquet file."""
    from study import initial

    if out is None:
        click.echo(initial.study_file(data, small), nl=False)
    else:
        initial.write(data, out, small)
        click.echo(f"{out}; next: {command('check', out)}")


@cli.group()
def data() -> None:
    """Prepare data."""


@data.command("import")
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--size", type=click.IntRange(1), help="Resize images to this height and width.")
def import_(source: Path, out: Path, size: int | None) -> None:
    """Convert images by class, .npz, IDX or the Omniglot archives into Parquet."""
    from study.bring import bring

    click.echo(bring(source, out, size))


cli.add_command(components)


def main() -> None:
    """Runs the command line; a user's mistake is one message and exit code 2."""
    try:
        code: Any = cli(prog_name="study", standalone_mode=False)
    except StudyError as error:
        click.echo(str(error), err=True)
        code = USER_MISTAKE
    except click.ClickException as error:
        error.show()
        code = USER_MISTAKE
    except (KeyboardInterrupt, click.Abort):
        code = INTERRUPTED
    except SystemExit:  # click's way out where whoever read our output has seen enough
        code = DONE
    except OSError as error:
        if error.errno not in STORAGE_FAULTS:
            raise
        click.echo(f"{error.filename or 'storage'}: {error.strerror}", err=True)
        code = USER_MISTAKE
    sys.exit(code)


def _prepared(file: Path, data: str | None, root: Path) -> Any:
    from study.check import prepare

    return prepare(file, root, data)


def _record(name: str, root: Path) -> Any:
    from study.record import Record

    return Record(root / name)
