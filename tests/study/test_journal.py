"""The journal of a study, beside the one that Optuna would have written."""

import resource
from contextlib import contextmanager

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from study.journal import Journal


def run(storage, trials=6):
    """Asks, reports and tells in a study of that storage, which may exist."""
    study = optuna.create_study(
        storage=storage,
        study_name="linear+mean+triplet",
        directions=["maximize"],
        sampler=optuna.samplers.TPESampler(seed=1, n_startup_trials=2),
        load_if_exists=True,
    )
    for number in range(trials):
        trial = study.ask()
        margin = trial.suggest_float("margin", 0.05, 0.5, log=True)
        trial.suggest_categorical("mining", ["all", "hard"])
        trial.suggest_int("width", 8, 64)
        trial.report(margin, 1)
        if number % 3 == 2:
            trial.set_user_attr("reason", "ä \n line")
            study.tell(trial, state=TrialState.FAIL)
        else:
            study.tell(trial, margin)
    return study


def found(storage):
    """Everything about the trials of a study but when they were."""
    study = optuna.load_study(storage=storage, study_name="linear+mean+triplet")
    return [
        (
            t.number,
            t.state,
            t.values,
            t.params,
            t.distributions,
            t.intermediate_values,
            t.user_attrs,
        )
        for t in study.trials
    ]


def opened(path):
    return Journal(path, guard=lambda: None)


def optunas_own(path):
    return JournalStorage(JournalFileBackend(str(path)))


def lines(path):
    return path.read_bytes().count(b"\n")


@pytest.mark.parametrize("is_together", [True, False])
def test_a_journal_holds_what_optunas_own_would(tmp_path, is_together):
    storage, own = opened(tmp_path / "ours"), optunas_own(tmp_path / "theirs")
    run(own)
    if is_together:
        with storage.together():
            run(storage)
            before = found(storage)
    else:
        run(storage)
        before = found(storage)
    assert before == found(storage) == found(own)
    assert found(optunas_own(tmp_path / "ours")) == found(own)
    assert found(opened(tmp_path / "ours")) == found(own)
    assert lines(tmp_path / "ours") == lines(tmp_path / "theirs")


def test_what_is_said_together_is_read_at_once_and_written_at_the_end(tmp_path):
    storage = opened(tmp_path / "journal")
    study = run(storage, trials=0)
    before = lines(tmp_path / "journal")
    with storage.together():
        trial = study.ask()
        trial.suggest_float("margin", 0.05, 0.5)
        assert list(study.trials[0].params) == ["margin"]
        assert lines(tmp_path / "journal") == before
    assert lines(tmp_path / "journal") == before + 2


def test_alone_everything_is_written_at_once(tmp_path):
    storage = opened(tmp_path / "journal")
    study = run(storage, trials=0)
    before = lines(tmp_path / "journal")
    trial = study.ask()
    assert lines(tmp_path / "journal") == before + 1
    trial.suggest_float("margin", 0.05, 0.5)
    assert lines(tmp_path / "journal") == before + 2


def test_the_inner_of_two_writes_what_both_have_and_the_outer_goes_on(tmp_path):
    storage = opened(tmp_path / "journal")
    study = run(storage, trials=0)
    before = lines(tmp_path / "journal")
    with storage.together():
        study.ask()
        with storage.together():
            study.ask()
        assert lines(tmp_path / "journal") == before + 2
        study.ask()
        assert lines(tmp_path / "journal") == before + 2
    assert lines(tmp_path / "journal") == before + 3


def test_an_error_loses_nothing_of_what_was_said(tmp_path):
    storage = opened(tmp_path / "journal")
    study = run(storage, trials=0)
    with pytest.raises(ZeroDivisionError), storage.together():
        _ = study.ask().number / 0
    assert len(found(optunas_own(tmp_path / "journal"))) == 1
    study.ask()
    assert len(found(optunas_own(tmp_path / "journal"))) == 2


@contextmanager
def room_for(more, path):
    """As on a full disk: the file can grow by so many bytes, and then no more."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + more, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_what_could_not_be_written_leaves_no_half_line_and_is_written_later(tmp_path):
    path = tmp_path / "journal"
    storage = opened(path)
    study = run(storage, trials=0)
    before = path.read_bytes()
    with room_for(10, path), pytest.raises(OSError, match="File too large"), storage.together():
        study.ask()
    assert path.read_bytes() == before
    with storage.together():
        study.ask()
    assert len(found(optunas_own(path))) == 2
