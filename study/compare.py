"""Several studies side by side: in words for a terminal, and as a page with figures."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from analysis import comparison_page
from analysis.across_studies import across_studies, confirmed_qualities, obstacle
from analysis.comparison import comparison, differing_metrics
from analysis.tables import StudyTables
from study.errors import RecordError
from study.record import Record
from study.tables import read_tables
from trainables.places import Place


def compare(root: Place, names: Sequence[str]) -> str:
    """One line per combination with its quality and gap in every study, best first; then ranks.

    Ranks are of test quality, over the studies, with what is told apart by them; where there is too
    little for that, the last line says so.

    Studies that select by different metrics are shown with a warning: their figures can be compared
    down a column, and not across.

    Args:
        root: the folder of all studies.
        names: of at least two studies, each once.

    Raises:
        RecordError: with every name that is no study, or if there are fewer than two.
    """
    studies = _studies(root, names)
    lines = _aligned(comparison(studies))
    differing = differing_metrics(studies)
    if not differing:
        lines.append(f"(quality: {studies[0].quality_name}; gap: {studies[0].gap_name})")
    else:
        lines.append(
            "compare down the columns, not across: the studies do not use the same metrics"
        )
        lines += [f"  {metric}: {', '.join(differing[metric])}" for metric in differing]
    return "\n".join(lines + _ranks(studies))


def write(root: Place, names: Sequence[str], folder: Path) -> Path:
    """Writes the comparison as a page, with its tables and figures; returns the page.

    Args:
        root: the folder of all studies.
        names: of at least two studies, each once.
        folder: where to write; made if absent.

    Raises:
        RecordError: as :func:`compare`, or if the folder cannot be written.
    """
    studies = _studies(root, names)
    try:
        return comparison_page.write(studies, folder)
    except OSError as error:
        raise RecordError(folder, [f"cannot be written: {error.strerror or error}"]) from error


def _studies(root: Place, names: Sequence[str]) -> list[StudyTables]:
    if len(set(names)) < max(2, len(names)):
        raise RecordError("study compare", [f"needs two different studies, got {', '.join(names)}"])
    # By the names of their folders: a copy has the name of the study that it is a copy of.
    return [
        replace(read_tables(record, in_full=False), name=name)
        for name, record in zip(names, _records(root, names), strict=True)
    ]


def _ranks(studies: Sequence[StudyTables]) -> list[str]:
    qualities = confirmed_qualities(studies)
    reason = obstacle(qualities)
    if reason:
        return [f"(no ranks across studies: {reason})"]
    found = across_studies(qualities)
    return [
        f"mean rank by test quality over {len(studies)} studies (1 is best):",
        *(f"  {rank:.2f}  {name}" for name, rank in found.mean_ranks.items()),
        f"(Friedman: p = {found.p:.4f}; Nemenyi: ranks more than {found.critical_difference:.2f} "
        "apart differ where p is below 0.05)",
        *(f"not told apart: {', '.join(run)}" for run in found.together),
    ]


def _records(root: Place, names: Sequence[str]) -> list[Record]:
    records, problems = [], []
    for name in names:
        try:
            records.append(Record(root / name))
        except RecordError as error:
            problems += [f"{name}: {problem}" for problem in error.problems]
    if problems:
        raise RecordError(root, problems)
    return records


def _aligned(board: pd.DataFrame) -> list[str]:
    """A header and the rows: names to the left, figures to the right."""
    rows = [
        list(board.columns),
        *([name, *map(_number, figures)] for name, *figures in board.itertuples(index=False)),
    ]
    first, *widths = (max(map(len, column)) for column in zip(*rows, strict=True))
    return [
        "  ".join([f"{name:<{first}}", *(f"{c:>{w}}" for c, w in zip(cells, widths, strict=True))])
        for name, *cells in rows
    ]


def _number(value: float) -> str:
    return "-" if pd.isna(value) else f"{value:.4f}"
