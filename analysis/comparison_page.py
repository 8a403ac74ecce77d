"""Writes the comparison of several studies: one page, its tables and its figures as files."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from analysis import pages
from analysis.across_studies import confirmed_qualities, obstacle
from analysis.comparison import comparison, differing_metrics
from analysis.figures import critical_difference, studies_side_by_side
from analysis.metric_names import in_words
from analysis.pictures import picture
from analysis.tables import StudyTables

PAGE = "comparison.html"


def write(studies: Sequence[StudyTables], folder: Path) -> Path:
    """Writes ``comparison.html``, ``tables/`` and ``figures/``; see :func:`analysis.pages.write`.

    Args:
        studies: two or more, with different names.
        folder: where to write; made if absent.

    Returns:
        The path of the page.
    """
    pictures = [
        picture(studies_side_by_side.__name__, studies_side_by_side.data(studies)),
        picture(critical_difference.__name__, critical_difference.data_across(studies)),
    ]
    qualities = confirmed_qualities(studies)
    frames = {
        "best_trials": comparison(studies),
        "test_qualities": qualities.rename_axis("study").reset_index(),
    }
    html = pages.rendered(
        "comparison.html",
        names=[study.name for study in studies],
        metrics=_metrics(studies),
        differing=differing_metrics(studies),
        best_trials=frames["best_trials"],
        test_qualities=frames["test_qualities"],
        combinations=list(qualities.columns),
        unranked=obstacle(qualities),
        pictures=pictures,
    )
    page = folder / PAGE
    pages.write(page, html, pictures, frames)
    return page


def _metrics(studies: Sequence[StudyTables]) -> pd.DataFrame:
    """What each study selects by, and the gap it reports."""
    return pd.DataFrame(
        {
            "study": [study.name for study in studies],
            "quality": [in_words(study.quality_name) for study in studies],
            "gap": [in_words(study.gap_name) for study in studies],
        }
    )
