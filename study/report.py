"""The report of a study, in its folder."""

from analysis import report as page
from analysis.tables import StudyTables
from study.record import Record
from trainables import places
from trainables.places import Place


def write(record: Record, tables: StudyTables) -> Place:
    """Writes the report: one HTML file, and its pictures; returns the file."""
    folder = record.folder / "report"
    with places.filled(folder) as local:
        name = page.write(tables, local).name
    return folder / name
