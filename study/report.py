"""The report of a study, in its folder."""

from analysis import report as page
from analysis.tables import StudyTables
from study.record import Record
from study.tables import read_tables
from trainables import places
from trainables.places import Place


def write(record: Record, tables: StudyTables | None = None) -> Place:
    """Writes the report: one HTML file, and its pictures; returns the file.

    Args:
        record: of the study.
        tables: its own, where they have been read already.
    """
    folder = record.folder / "report"
    with places.filled(folder) as local:
        name = page.write(tables or read_tables(record), local).name
    return folder / name
