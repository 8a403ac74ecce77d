"""A disk that fills up while a study runs."""

import subprocess

import pytest

from tests.faults.level import every
from tests.faults.studies import ended, until

pytestmark = pytest.mark.ray
SIZE = "64m"
BLOCK_BYTES = 1 << 12


@pytest.fixture
def small_disk(tmp_path):
    """A small file system, where one may be mounted."""
    folder = tmp_path / "hit" / "studies"
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", folder]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no file system may be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder) -> None:
    """Leaves no room for as much as a result."""
    with (folder / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(BLOCK_BYTES))
        except OSError:
            return


@every
def test_a_full_disk_stops_a_study_until_there_is_room_again(study, stock, small_disk):
    of = study()
    with of.launching() as process:
        until(process, lambda: of.results >= 3)
        fill(small_disk)
        stopped = ended(process)
    assert stopped.returncode == 2, (stopped.stdout, stopped.stderr)
    assert "No space left on device" in stopped.stderr.splitlines()[-1]
    assert "Traceback" not in stopped.stderr
    assert of.results < 16
    (small_disk / "filler").unlink()
    again = of.launch()
    assert again.returncode == 0, again.stderr
    row = stock(of, "disk: full", 1)
    assert row.is_sound, row
    assert row.failed == ()
