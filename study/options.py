"""Options and arguments that several verbs of the command line share."""

from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

ROOT = "studies"
FOLDER = click.Path(path_type=Path, file_okay=False)


def _place(context: click.Context, option: click.Parameter, text: str) -> Any:
    """A folder of this machine, or the address of one on an object store."""
    if "://" not in text:
        return FOLDER.convert(text, option, context)
    from trainables.places import place

    try:
        return place(text)
    except (ImportError, ValueError) as error:
        raise click.BadParameter(f'{error}; see the README, "Where a study lies"') from error


def _known_studies(
    context: click.Context, argument: click.Parameter, begun: str
) -> list[CompletionItem]:
    """Names of the studies below the root, if that is a folder: a store would take too long."""
    root = context.params.get("root") or Path(ROOT)
    found = root.glob("*/study.json") if isinstance(root, Path) else ()
    names = sorted(file.parent.name for file in found)
    return [CompletionItem(name) for name in names if name.startswith(begun)]


def _files(context: click.Context, argument: click.Parameter, begun: str) -> list[CompletionItem]:
    """Whatever files the shell finds."""
    return [CompletionItem(begun, type="file")]


def _folders(context: click.Context, argument: click.Parameter, begun: str) -> list[CompletionItem]:
    """Whatever folders the shell finds."""
    return [CompletionItem(begun, type="dir")]


root_option = click.option(
    "--root",
    callback=_place,
    shell_complete=_folders,
    default=ROOT,
    show_default=True,
    help="Folder of all studies, or its address on an object store.",
)
data_option = click.option(
    "--data",
    shell_complete=_files,
    help="`digits` or a Parquet file, instead of data.source.",
)
data_argument = click.argument("data", shell_complete=_files)
file_argument = click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
name_argument = click.argument("name", shell_complete=_known_studies)
names_argument = click.argument("names", nargs=-1, required=True, shell_complete=_known_studies)
