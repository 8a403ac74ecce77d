"""What a study is, written at its first launch; whether another study file may continue it."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import uuid4

from study.check import Study
from study.material import digests
from trainables import catalogue
from trainables.tasks import StudyData

PACKAGES = ("groupstudy", "mlflow", "numpy", "optuna", "pyarrow", "ray", "torch")
MAY_DIFFER = ("budget.", "tracking.", "data.source")
REMEDIES = {
    "storage.database": "what was searched so far is only there; launch it as it was",
}
SLOTS = ("search.encoder.", "search.aggregator.", "search.loss.", "search.views.")


def manifest(study: Study) -> dict[str, Any]:
    """Identity, configuration, digests and sizes of data and division, versions, code revision.

    The identity is drawn anew each time; a study keeps the one it was created with, so that two
    studies of one name stay apart wherever they meet.
    """
    return {
        "identity": uuid4().hex,
        "config": study.config.model_dump(mode="json"),
        "combinations": [combination.label for combination in study.combinations],
        "digests": digests(study.data),
        "data": _sizes(study.data),
        "versions": versions(),
        "revision": _revision(),
    }


def _sizes(data: StudyData) -> dict[str, Any]:
    """How many points there are, of how many classes, of which shape; how many for which phase."""
    return {
        "points": len(data.points),
        "classes": len(data.points.classes),
        "shape": list(data.points.shape),
        "search_points": len(data.final.train),
        "test_points": len(data.final.held_out),
    }


def versions() -> dict[str, str]:
    """Of the packages that figures depend on, those that add components included; of Python."""
    known = {name: version(name) for name in PACKAGES} | {"python": sys.version.split()[0]}
    return known | catalogue.plug_in_versions()


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Differences that forbid continuing a study; a larger budget and new components do not."""
    found = [
        f"{kind}: the {kind} has changed since the study began; give the new study another name"
        for kind, digest in old["digests"].items()
        if new["digests"][kind] != digest
    ]
    before, after = dict(_leaves(old["config"])), dict(_leaves(new["config"]))
    for path in sorted({*before, *after}):
        was, now = before.get(path), after.get(path)
        if was != now and not _may_grow(path, before):
            remedy = REMEDIES.get(path, "give the new study another name")
            found.append(f"{path}: was {was}, is now {now}; {remedy}")
    trials = "budget.trials_per_combination"
    if after[trials] < before[trials]:
        found.append(f"{trials}: cannot shrink, was {before[trials]}, is now {after[trials]}")
    return found


def _may_grow(path: str, before: Mapping[str, Any]) -> bool:
    """Whether a changed leaf is free to change, or belongs to a component that is new."""
    if path.startswith(MAY_DIFFER):
        return True
    slot = next((slot for slot in SLOTS if path.startswith(slot)), None)
    if slot is None:
        return False
    component = slot + path.removeprefix(slot).split(".")[0]
    return not any(f"{known}.".startswith(f"{component}.") for known in before)


def _leaves(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(tree, Mapping) and tree:
        for key, value in tree.items():
            yield from _leaves(value, f"{path}.{key}" if path else str(key))
    else:
        yield path, tree


def _revision() -> str | None:
    """Git revision of the code, with ``+`` where files differ from it; None outside git."""
    folder = Path(__file__).parent
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--dirty=+"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip()
