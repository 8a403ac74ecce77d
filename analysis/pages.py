"""What every page has: tables, and figures that are shown and kept as files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from analysis.pictures import Picture
from analysis.table_files import replace, write_data, write_tables


def write(
    page: Path, html: str, pictures: Sequence[Picture], frames: dict[str, pd.DataFrame]
) -> None:
    """Writes a page, and ``tables/`` and ``figures/`` beside it, replacing each file at once.

    Tables become Parquet, CSV, Markdown and LaTeX; figures PNG and SVG, and what they show Parquet
    and CSV.
    """
    figures = page.parent / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    for drawn in pictures:
        replace(figures / f"{drawn.name}.png", drawn.png)
        replace(figures / f"{drawn.name}.svg", drawn.svg)
        write_data(drawn.data, figures / drawn.name)
    write_tables(frames, page.parent / "tables")
    replace(page, html.encode())


def rendered(template: str, **values: Any) -> str:
    """A page from its template in this folder; tables become lists of rows."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    environment.tests["known"] = pd.notna
    shown = {n: rows(v) if isinstance(v, pd.DataFrame) else v for n, v in values.items()}
    return environment.get_template(template).render(**shown)


def rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table, by column."""
    return [dict(zip(frame.columns, row, strict=True)) for row in frame.itertuples(index=False)]


def number(value: Any, digits: int = 3) -> str:
    """A number as the tables show it: fixed digits, a real minus sign, a dash where unknown."""
    if pd.isna(value):
        return "–"
    shown = f"{value:.{digits}f}"
    # A tiny negative value must not read as minus zero.
    return shown.lstrip("-") if float(shown) == 0 else shown.replace("-", "−")
