"""Faults of what Optuna keeps its trials in: a journal cut short, a database that restarts."""

from signal import SIGKILL

import pytest

from tests.faults.level import every
from tests.faults.studies import ended, until
from tests.study import postgres

pytestmark = [pytest.mark.ray, every]


@pytest.mark.parametrize("cut", ["a byte", "half of a line"])
def test_a_journal_cut_in_its_last_line_is_mended(study, stock, cut):
    of = study()
    of.launch_until(lambda: of.results >= 3, SIGKILL)
    journal = of.folder / "optuna.journal"
    content = journal.read_bytes().rstrip(b"\n")
    last = len(content) - content.rfind(b"\n") - 1
    torn = content if cut == "a byte" else content[: -(last // 2)]
    journal.write_bytes(torn)
    ended = of.launch()
    assert ended.returncode == 0, ended.stderr
    assert (of.folder / "optuna.torn").read_bytes() == torn
    assert stock(of, f"journal: lost {cut}", 1).is_sound


def test_a_database_that_restarts_costs_a_launch_at_most(study, stock):
    with postgres.serving() as server:
        of = study(storage={"database": server.database()})
        with of.launching() as process:
            until(process, lambda: of.results >= 3)
            server.stop()
            server.start()
            stopped = ended(process)
        if stopped.returncode:
            assert stopped.returncode == 2, stopped.stderr
            assert "the study's database failed" in stopped.stderr.splitlines()[-1]
            again = of.launch()
            assert again.returncode == 0, again.stderr
        assert stock(of, "database: restarted", 1).is_sound
