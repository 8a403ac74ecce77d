"""Two launches of one study, and two studies that share everything but their folder."""

import re
import socket

import optuna
import pytest
from sqlalchemy.pool import NullPool

from tests.faults.level import every
from tests.faults.studies import ended, until
from tests.study import postgres

pytestmark = [pytest.mark.ray, every]


def test_a_second_driver_is_refused_and_harms_nothing(study, stock):
    of = study()
    with of.launching() as process:
        until(process, lambda: of.results >= 1)
        refused = of.launch()
        launched = ended(process)
    assert refused.returncode == 2
    holder = re.search(r"is in use by process (\d+) on (.*); wait", refused.stderr)
    assert holder, refused.stderr
    assert holder.groups() == (str(process.pid), socket.gethostname())
    assert launched.returncode == 0, launched.stderr
    assert stock(of, "driver: a second one", 1).is_sound


def test_two_studies_in_one_database_never_share_a_trial(study, stock, tmp_path):
    with postgres.serving() as server:
        address, uri = server.database(), f"sqlite:///{tmp_path / 'shared.db'}"
        both = [
            study(name, storage={"database": address}, tracking={"uri": uri})
            for name in ("one", "other")
        ]
        with both[0].launching() as first, both[1].launching() as second:
            launched = [ended(first), ended(second)]
        assert [one.returncode for one in launched] == [0, 0], [one.stderr for one in launched]
        for of in both:
            assert stock(of, f"two studies at once: {of.file.parent.name}", 1, uri).is_sound
        storage = optuna.storages.RDBStorage(address, engine_kwargs={"poolclass": NullPool})
        names = optuna.get_all_study_names(storage)
        assert len(set(names)) == 4
