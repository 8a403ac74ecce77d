"""Writes the report of a study: one page that works offline, and its figures as files."""

import os
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
)
from analysis.gap_by_aggregator import gap_by_aggregator
from analysis.gap_correlation import WITH, gap_correlation
from analysis.leaderboard import best_trials, confirmations, leaderboard
from analysis.margin_by_size import margin_by_size
from analysis.metric_names import BOUNDS, in_words
from analysis.seeds_needed import MOST, STATED, recommended
from analysis.significance import obstacle, pairs, repeated_qualities
from analysis.summary import reasons, summary
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
    states,
)
"""In reading order; each offers ``CAPTION``, ``data``, ``title`` and ``draw``."""

RESOLUTION = 200
"""Dots per inch: two to a page pixel."""


class Picture(NamedTuple):
    """A drawn figure as files and as the page shows it."""

    name: str
    title: str
    caption: str
    png: bytes
    svg: bytes

    @property
    def address(self) -> str:
        """The PNG inside an address, so that the page asks for no other file."""
        return f"data:image/png;base64,{b64encode(self.png).decode()}"


def write(tables: StudyTables, folder: Path) -> Path:
    """Writes ``report.html`` and ``figures/NAME.png`` and ``.svg``, replacing each file at once.

    Args:
        tables: the study, at any stage; whatever is missing is said to be missing.
        folder: where to write; made if absent.

    Returns:
        The path of the page.
    """
    pictures = [_picture(module, tables) for module in FIGURES]
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    for picture in pictures:
        _replace(folder / "figures" / f"{picture.name}.png", picture.png)
        _replace(folder / "figures" / f"{picture.name}.svg", picture.svg)
    page = folder / "report.html"
    _replace(page, _page(tables, pictures).encode())
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
    return Picture(name, module.title(data), module.CAPTION, files["png"], files["svg"])


def _page(tables: StudyTables, pictures: list[Picture]) -> str:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    environment.tests["known"] = pd.notna
    qualities = repeated_qualities(tables)
    untested = obstacle(qualities)
    return environment.get_template("report.html").render(
        study=tables,
        quality=in_words(tables.quality_name),
        gap=in_words(tables.gap_name),
        summary=summary(tables),
        board=_rows(leaderboard(tables)),
        confirmations=_rows(confirmations(tables)),
        baselines=_rows(training_gain(tables)),
        raw_quality=raw_quality(tables),
        untested=untested,
        pairs=[] if untested else _rows(recommended(pairs(qualities))),
        stated=STATED,
        most_seeds=MOST,
        configurations=_configurations(tables),
        margins=_rows(margin_by_size(tables)),
        correlations=_rows(gap_correlation(tables)),
        quantities=WITH,
        aggregators=_rows(gap_by_aggregator(tables)),
        bound_gaps=_rows(bound_gap(tables)),
        bound_symbols=BOUNDS,
        reasons=_rows(reasons(tables)),
        pictures=pictures,
    )


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [dict(zip(frame.columns, row, strict=True)) for row in frame.itertuples(index=False)]


def _configurations(tables: StudyTables) -> dict[str, list[dict[str, Any]]]:
    named = best_trials(tables)[["key", "combination"]].merge(tables.parameters, on="key")
    return {
        str(combination): _rows(values[["name", "value"]])
        for combination, values in named.groupby("combination", sort=False)
    }


def _replace(path: Path, content: bytes) -> None:
    # A reader sees the old file or the new one, never half of either.
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_bytes(content)
    unfinished.replace(path)
