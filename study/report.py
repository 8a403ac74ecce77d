"""The report of a study, in its folder."""

from analysis import report
from study.record import Record
from study.tables import read_tables
from trainables import places
from trainables.places import Place


def write(record: Record) -> Place:
    """Writes the report, and returns its page."""
    with places.filled(record.report_page.parent) as local:
        report.write(read_tables(record), local)
    return record.report_page
