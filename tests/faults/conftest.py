"""What tests of faults share: a faulty component, and the table of all faults at the end."""

from dataclasses import asdict, replace

import pytest

from tests.faults.level import IS_EVERY

PROPERTY = "fault"


@pytest.fixture(scope="session")
def packages(tmp_path_factory):
    """A folder of installed packages, with a faulty component."""
    from tests.faults.studies import install_faulty

    return install_faulty(tmp_path_factory.mktemp("packages"))


@pytest.fixture
def study(packages, tmp_path):
    """Writes a study file like that of all launches, with changed keys in its sections."""
    from tests.faults.studies import FaultStudy

    def write(name="hit", **changes):
        return FaultStudy.write(packages, tmp_path / name, **changes)

    return write


@pytest.fixture
def stock(record_property):
    """Takes stock of a study, and puts the row into the table."""
    from study.record import Record
    from tests.faults.stock import take_stock

    def take(of, fault, injected=1, uri=None):
        row = take_stock(Record(of.folder), fault, injected, uri)
        row = replace(row, seconds=sum(of.seconds))
        record_property(PROPERTY, asdict(row))
        return row

    return take


def pytest_terminal_summary(terminalreporter):
    from tests.faults.table import lines

    reports = [r for found in terminalreporter.stats.values() for r in found]
    rows = [
        value
        for report in reports
        for name, value in getattr(report, "user_properties", [])
        if name == PROPERTY and getattr(report, "when", "") == "call"
    ]
    if IS_EVERY and rows:
        terminalreporter.section("faults")
        for line in lines(rows):
            terminalreporter.write_line(line)
