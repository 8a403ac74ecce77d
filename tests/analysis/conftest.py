"""One finished study that many tests read."""

import pytest

from tests.analysis.studies import study_of


@pytest.fixture(scope="session")
def study():
    """Five combinations, one uncovered; trials pruned and failed; best trials confirmed."""
    names = [f"mlp+{a}+{b}" for a in ("mean", "attention") for b in ("triplet", "infonce")]
    return study_of([*names, "mlp+max+triplet"], 20, uncovered=["mlp+max+triplet"], pairs_each=6)
