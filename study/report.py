"""The report of a study, in its folder."""

from analysis import report
from study.record import Record
from study.tables import read_tables
from trainables import places
from trainables.places import Place


def page(record: Record) -> Place:
    """Where the report's page is, once it was written."""
    return folder(record) / report.PAGE


def folder(record: Record) -> Place:
    """Where the report is: its page, its tables and its figures."""
    return record.folder / "report"


def write(record: Record) -> Place:
    """Writes the report, and returns its page."""
    with places.filled(folder(record)) as local:
        report.write(read_tables(record), local)
    return page(record)
