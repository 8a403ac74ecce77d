"""The report of a study, in its folder."""

import gc

from analysis import report
from analysis.pictures import drawers
from study.record import Record
from study.tables import read_tables
from trainables import places
from trainables.places import Place


def write(record: Record) -> Place:
    """Writes the report, and returns its page."""
    page, count = record.report_page, len(record.trials())
    # A thousand trials make many objects; what was imported need not be looked through each time.
    gc.freeze()
    with drawers(count) as team, places.filled(page.parent) as local:
        report.write(read_tables(record), local, team)
    return page
