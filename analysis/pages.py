"""What every page has: tables, and figures that are drawn, shown and kept as files."""

from base64 import b64encode
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import matplotlib as mpl
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from analysis.table_files import replace, write_data, write_tables

RESOLUTION = 200
"""Dots per inch: two to a page pixel."""


class Picture(NamedTuple):
    """A drawn figure as files and as the page shows it; ``data`` is what it shows."""

    name: str
    title: str
    caption: str
    data: pd.DataFrame
    png: bytes
    svg: bytes

    @property
    def address(self) -> str:
        """The PNG inside an address, so that the page asks for no other file."""
        return f"data:image/png;base64,{b64encode(self.png).decode()}"


def picture(module: ModuleType, data: Any) -> Picture:
    """Draws a figure.

    Args:
        module: offers ``CAPTION``, ``title`` and ``draw``.
        data: what it is drawn from.
    """
    files = {}
    # Unless told otherwise, an SVG holds the date and glyph names hashed with a random salt.
    with mpl.rc_context({"svg.hashsalt": "groupstudy"}):
        figure = module.draw(data)
        # Laid out once, not for each file.
        figure.draw_without_rendering()
        figure.set_layout_engine(None)
        for kind, metadata in (("png", {}), ("svg", {"Date": None})):
            stream = BytesIO()
            figure.savefig(stream, format=kind, dpi=RESOLUTION, metadata=metadata)
            files[kind] = stream.getvalue()
    name = module.__name__.rpartition(".")[2]
    return Picture(name, module.title(data), module.CAPTION, _shown(data), **files)


def _shown(data: tuple[Any, ...]) -> pd.DataFrame:
    """The frame among what a figure is drawn from; it holds one, or a series."""
    (frame,) = (value for value in data if isinstance(value, pd.DataFrame | pd.Series))
    is_numbered = isinstance(frame.index, pd.RangeIndex)
    return frame if isinstance(frame, pd.DataFrame) and is_numbered else frame.reset_index()


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
