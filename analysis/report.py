"""Writes the report of a study: one page that works offline, and its figures as files."""

from base64 import b64encode
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import matplotlib as mpl
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from analysis.bound_gap import bound_gap
from analysis.figures import (
    best_so_far,
    combinations,
    critical_difference,
    distances_and_bounds,
    gap_by_group_size,
    gap_by_margin,
    quality_against_gap,
    states,
    training_curves,
)
from analysis.gap_by_aggregator import gap_by_aggregator
from analysis.gap_correlation import WITH, gap_correlation
from analysis.leaderboard import best_trials, confirmations, leaderboard
from analysis.margin_by_size import margin_by_size
from analysis.metric_names import BOUNDS, in_words
from analysis.seeds_needed import MOST, STATED, recommended
from analysis.significance import obstacle, pairs, repeated_qualities
from analysis.summary import reasons, summary
from analysis.table_files import replace, write_data, write_tables
from analysis.tables import StudyTables
from analysis.training_gain import raw_quality, training_gain

FIGURES = (
    combinations,
    critical_difference,
    quality_against_gap,
    gap_by_group_size,
    gap_by_margin,
    distances_and_bounds,
    best_so_far,
    training_curves,
    states,
)
"""In reading order; each offers ``CAPTION``, ``data``, ``title`` and ``draw``."""

PAGE = "report.html"
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


def write(tables: StudyTables, folder: Path) -> Path:
    """Writes ``report.html``, ``tables/`` and ``figures/``, replacing each file at once.

    The tables of the page are there as Parquet, CSV, Markdown and LaTeX; the figures as PNG and
    SVG, and what they show as Parquet and CSV.

    Args:
        tables: the study, at any stage; whatever is missing is said to be missing.
        folder: where to write; made if absent.

    Returns:
        The path of the page.
    """
    pictures = [_picture(module, tables) for module in FIGURES]
    frames = _frames(tables)
    figures = folder / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    for picture in pictures:
        replace(figures / f"{picture.name}.png", picture.png)
        replace(figures / f"{picture.name}.svg", picture.svg)
        write_data(picture.data, figures / picture.name)
    write_tables(frames, folder / "tables")
    page = folder / PAGE
    replace(page, _page(tables, frames, pictures).encode())
    return page


def number(value: Any, digits: int = 3) -> str:
    """A number as the tables show it: fixed digits, a real minus sign, a dash where unknown."""
    if pd.isna(value):
        return "–"
    shown = f"{value:.{digits}f}"
    # A tiny negative value must not read as minus zero.
    return shown.lstrip("-") if float(shown) == 0 else shown.replace("-", "−")


def _picture(module: ModuleType, tables: StudyTables) -> Picture:
    data = module.data(tables)
    files = {}
    # Unless told otherwise, an SVG holds the date and glyph names hashed with a random salt.
    with mpl.rc_context({"svg.hashsalt": "groupstudy"}):
        figure = module.draw(data)
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


def _frames(tables: StudyTables) -> dict[str, pd.DataFrame]:
    """The tables of the page, by their names in the template and as files."""
    qualities = repeated_qualities(tables)
    tested = pd.DataFrame() if obstacle(qualities) else recommended(pairs(qualities))
    return {
        "leaderboard": leaderboard(tables),
        "confirmations": confirmations(tables),
        "baselines": training_gain(tables),
        "significance": tested,
        "reasons": reasons(tables),
        "gap_correlation": gap_correlation(tables),
        "gap_by_aggregator": gap_by_aggregator(tables),
        "margin_by_size": margin_by_size(tables),
        "bound_gap": bound_gap(tables),
    }


def _page(tables: StudyTables, frames: dict[str, pd.DataFrame], pictures: list[Picture]) -> str:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    environment.tests["known"] = pd.notna
    return environment.get_template("report.html").render(
        study=tables,
        quality=in_words(tables.quality_name),
        gap=in_words(tables.gap_name),
        summary=summary(tables),
        raw_quality=raw_quality(tables),
        untested=obstacle(repeated_qualities(tables)),
        stated=STATED,
        most_seeds=MOST,
        configurations=_configurations(tables),
        quantities=WITH,
        bound_symbols=BOUNDS,
        pictures=pictures,
        **{name: _rows(frame) for name, frame in frames.items()},
    )


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [dict(zip(frame.columns, row, strict=True)) for row in frame.itertuples(index=False)]


def _configurations(tables: StudyTables) -> dict[str, list[dict[str, Any]]]:
    named = best_trials(tables)[["key", "combination"]].merge(tables.parameters, on="key")
    return {
        str(combination): _rows(values[["name", "value"]])
        for combination, values in named.groupby("combination", sort=False)
    }
