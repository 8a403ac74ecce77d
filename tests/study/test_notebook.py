"""The notebook of the documentation: its cells in a process of their own, one after the other."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.level import everything

ROOT = Path(__file__).parents[2]
NOTEBOOK = json.loads((ROOT / "docs" / "study_from_python.ipynb").read_text())
CELLS = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]
LOOK = """
found = leaderboard(tables)
print((record.folder / "export" / "best" / "card.md").read_text().splitlines()[0])
print(sorted(found["combination"]), len(trials), pairs["size"].unique().tolist(), len(folders))
"""


@pytest.mark.ray
@everything
def test_its_cells_run_a_study_and_read_its_tables(tmp_path):
    program = "\n".join(["".join(cell["source"]) for cell in CELLS] + [LOOK])
    # Not under pytest's folder: Ray's socket names would become longer than the kernel allows.
    with tempfile.TemporaryDirectory(prefix="gs-", dir="/tmp") as temporary:
        ended = subprocess.run(
            [sys.executable, "-c", program],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "RAY_TMPDIR": temporary},
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
    assert ended.returncode == 0, ended.stderr
    card, looked = ended.stdout.strip().splitlines()[-2:]
    assert card.endswith("from study digits_small")
    assert looked == "['mlp+attention+triplet', 'mlp+mean+triplet'] 8 [1, 3] 3"


def test_it_is_committed_without_outputs():
    assert CELLS
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in CELLS)
