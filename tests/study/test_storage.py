"""Against real journal files and databases."""

import optuna
import pytest

from study.errors import RecordError
from study.manifest import manifest
from study.proposals import Proposals
from study.record import Record
from study.storage import open_storage, study_name
from tests.study.files import accepted

LABEL = "linear+mean+triplet"


def started(root, *changes):
    """A new record, and the proposals of its one combination."""
    root.mkdir(exist_ok=True)
    study = accepted(root, *changes)
    record = Record.create(root / "small", manifest(study))
    return record, Proposals(record, study.combinations[0], open_storage(record))


def ask(record, proposals):
    trial = proposals.ask()
    record.plan(trial)
    return trial


@pytest.fixture
def database(tmp_path):
    return f"sqlite:///{tmp_path}/optuna.db"


def test_a_journal_cut_in_the_middle_of_a_line_is_mended_and_kept(tmp_path):
    record, proposals = started(tmp_path)
    ask(record, proposals)
    journal = record.folder / "optuna.journal"
    whole = journal.read_bytes()
    torn = whole + b'{"op_code": 4, "worker'
    journal.write_bytes(torn)
    open_storage(record)
    assert journal.read_bytes() == whole
    assert journal.with_suffix(".torn").read_bytes() == torn
    assert ask(*started(tmp_path)).number == 1


def test_in_a_database_trials_are_proposed_and_continued_as_in_a_journal(tmp_path, database):
    in_journal = [ask(*started(tmp_path / "a")) for _ in range(3)]
    change = f"storage.database: {database}"
    assert [ask(*started(tmp_path / "b", change)) for _ in range(3)] == in_journal
    assert not (tmp_path / "b" / "small" / "optuna.journal").exists()


def test_two_studies_of_one_name_in_one_database_share_no_trial(tmp_path, database):
    change = f"storage.database: {database}"
    studies = [started(tmp_path / name, change) for name in ("a", "b")]
    for study in studies:
        assert ask(*study).number == 0
    names = sorted(study_name(record, LABEL) for record, _ in studies)
    assert names == sorted(f"{record.identity}/{LABEL}" for record, _ in studies)
    assert sorted(optuna.get_all_study_names(database)) == names


@pytest.mark.parametrize("kept", ["journal", "database"])
def test_a_storage_that_lacks_what_the_record_holds_is_refused(tmp_path, database, kept):
    changes = [f"storage.database: {database}"] if kept == "database" else []
    study = started(tmp_path, *changes)
    for _ in range(2):
        ask(*study)
    place = database if changes else "optuna.journal"
    (tmp_path / ("optuna.db" if changes else "small/optuna.journal")).unlink()
    with pytest.raises(RecordError) as caught:
        open_storage(study[0])
    assert caught.value.problems == [f"{LABEL}: {place} has 0 trials of 2; restore it"]
