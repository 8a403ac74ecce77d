"""Studies with files missing or spoilt: every verb works, or says in one line what is wrong."""

import json
import shutil

import pytest

from tests.level import everything
from tests.study import finished_studies

VERBS = ("status", "report", "compare", "export", "sync")


def removed(pattern):
    """Removes all files of a study whose path matches."""

    def damage(folder):
        files = list(folder.glob(pattern))
        assert files
        for file in files:
            file.unlink()

    return damage


def spoilt(pattern):
    """Leaves nothing in all files of a study whose path matches."""

    def damage(folder):
        files = list(folder.glob(pattern))
        assert files
        for file in files:
            file.write_bytes(b"")

    return damage


def failed(folder):
    """Makes all trials failures, with a reason that is markup in another alphabet."""
    for file in folder.glob("trials/*/result.json"):
        result = json.loads(file.read_text())
        result["outcome"] |= {
            "state": "failed",
            "reason": "<b>Ошибка</b>",
            "metrics": {},
            "member_metrics": [],
            "history": [],
        }
        file.write_text(json.dumps(result))


def one_left(folder):
    """Leaves the result of a single trial."""
    (kept, *others) = sorted(folder.glob("trials/*-0001/result.json"))
    for file in folder.glob("trials/*/result.json"):
        if file != kept:
            file.unlink()
    assert others


ATTEMPTS = "trials/*/attempt-*"
DAMAGES = {
    "no pairs of groups": removed(f"{ATTEMPTS}/bounds.parquet"),
    "empty tables of pairs": spoilt(f"{ATTEMPTS}/bounds.parquet"),
    "no maps": removed(f"{ATTEMPTS}/map.parquet"),
    "empty maps": spoilt(f"{ATTEMPTS}/map.parquet"),
    "no witnesses": removed(f"{ATTEMPTS}/witness.parquet"),
    "no weights": removed(f"{ATTEMPTS}/weights.safetensors"),
    "empty weights": spoilt(f"{ATTEMPTS}/weights.safetensors"),
    "no examples": removed(f"{ATTEMPTS}/example.safetensors"),
    "failures only": failed,
    "one trial": one_left,
    "no trials": removed("trials/*/result.json"),
    "empty results": spoilt("trials/*/result.json"),
}


ALWAYS = ("no weights", "failures only")


@pytest.mark.parametrize(
    "damage",
    [pytest.param(name, marks=[] if name in ALWAYS else everything) for name in DAMAGES],
)
def test_every_verb_works_or_says_in_one_line_what_is_missing(called, tmp_path, damage):
    record = finished_studies.copy(tmp_path)
    shutil.copytree(record.folder, tmp_path / "whole")
    DAMAGES[damage](record.folder)
    for verb in VERBS:
        others = ["whole"] if verb == "compare" else []
        code, output, errors = called(verb, "tiny", *others, "--root", tmp_path)
        assert code in (0, 1, 2), (verb, errors)
        assert "Traceback" not in output + errors, verb
        if code == 2:
            assert len(errors.splitlines()) == 1, (verb, errors)
            assert str(record.folder) in errors, (verb, errors)
        else:
            assert "tiny" in output, verb
