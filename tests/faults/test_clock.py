"""A clock that is a day behind when a study is launched again."""

from pathlib import Path
from signal import SIGKILL

import pytest

from tests.faults.level import every

pytestmark = [pytest.mark.ray, every]
LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))


@pytest.mark.skipif(not LIBRARIES, reason="libfaketime is missing (Debian: apt-get install it)")
def test_a_clock_set_back_confuses_nobody(study, stock):
    of = study()
    of.launch_until(lambda: of.results >= 3, SIGKILL)
    # Time between two moments goes on as ever, which is what a clock that is set back does.
    ended = of.launch(
        LD_PRELOAD=str(LIBRARIES[0]), FAKETIME="-1d", FAKETIME_DONT_FAKE_MONOTONIC="1"
    )
    assert ended.returncode == 0, ended.stderr
    row = stock(of, "clock: a day back", 1)
    assert row.is_sound, row
    assert row.failed == ()
