"""Options and arguments that several verbs of the command line share."""

from pathlib import Path
from typing import Any

import click

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


root_option = click.option(
    "--root",
    callback=_place,
    default="studies",
    show_default=True,
    help="Folder of all studies, or its address on an object store.",
)
data_option = click.option("--data", help="`digits` or a Parquet file, instead of data.source.")
file_argument = click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
name_argument = click.argument("name")
