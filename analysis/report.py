"""Writes the report of a study: one page that works offline, and its figures as files."""

from pathlib import Path
from typing import Any

import pandas as pd

from analysis import pages
from analysis.bound_gap import bound_gap
from analysis.explorer import explorer, policy, scripts
from analysis.figures import (
    best_so_far,
    combinations,
    critical_difference,
    distances_and_bounds,
    gap_by_group_size,
    gap_by_margin,
    group_map,
    parallel_coordinates,
    parameter_importance,
    parameter_slices,
    quality_against_gap,
    states,
    training_curves,
    witness,
)
from analysis.gap_by_aggregator import gap_by_aggregator
from analysis.gap_correlation import WITH, gap_correlation
from analysis.leaderboard import best_trials, confirmations, leaderboard
from analysis.margin_by_size import margin_by_size
from analysis.metric_names import BOUNDS, in_words
from analysis.pictures import Drawers, Picture
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
    witness,
    group_map,
    parameter_importance,
    parameter_slices,
    parallel_coordinates,
    best_so_far,
    training_curves,
    states,
)
"""In reading order; each offers ``CAPTION``, ``data``, ``title`` and ``draw``."""

PAGE = "report.html"


def write(tables: StudyTables, folder: Path, drawers: Drawers | None = None) -> Path:
    """Writes ``report.html``, ``tables/`` and ``figures/``; see :func:`analysis.pages.write`.

    Args:
        tables: the study, at any stage; whatever is missing is said to be missing.
        folder: where to write; made if absent.
        drawers: of the figures; by default this process alone.

    Returns:
        The path of the page.
    """
    drawers = drawers or Drawers()
    drawers.begin([(module, module.data(tables)) for module in FIGURES])
    frames = _frames(tables)
    pictures = drawers.pictures()
    page = folder / PAGE
    pages.write(page, _page(tables, frames, pictures), pictures, frames)
    return page


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
    return pages.rendered(
        "report.html",
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
        explorer=explorer(tables),
        policy=policy(),
        scripts=scripts(),
        **frames,
    )


def _configurations(tables: StudyTables) -> dict[str, list[dict[str, Any]]]:
    named = best_trials(tables)[["key", "combination"]].merge(tables.parameters, on="key")
    return {
        str(combination): pages.rows(values[["name", "value"]])
        for combination, values in named.groupby("combination", sort=False)
    }
