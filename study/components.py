"""The verb of the command line that lists what a study can be made of, and adds to it."""

from pathlib import Path

import click


@click.command()
@click.option("--json", "form", flag_value="json", help="Machine-readable.")
@click.option("--markdown", "form", flag_value="markdown", help="Short tables for a page.")
@click.option(
    "--install",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Add the component of your own that FILE holds, NAME.py; again after a change.",
)
def components(form: str | None, install: Path | None) -> None:
    """List encoders, aggregators, losses and views with their options."""
    if install is not None:
        from study import local_component

        click.echo(local_component.install(install).text)
        return
    from study import reference

    written = {"json": reference.as_json, "markdown": reference.as_markdown}
    click.echo(written.get(form or "", reference.as_table)())
