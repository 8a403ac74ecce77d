from concurrent.futures import ThreadPoolExecutor
from pickle import UnpicklingError

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from trainables.attempt import Attempt, Outcome, numbers

OUTCOME = Outcome(
    state="complete",
    reason="",
    metrics={"val/map_at_r.size2": 0.1 + 0.2},
    member_metrics=[{"val/map_at_r.size2": 0.1 + 0.2}],
    history=[{"epoch": 2, "time": 1.5, "metrics": {"train/loss": float("nan")}}],
    started=1.0,
    ended=2.0,
    execution={"threads": 1},
)


@pytest.fixture
def trial(tmp_path):
    return tmp_path / "trial"


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_numbers_are_claimed_from_1_upwards(trial):
    assert [Attempt.claim(trial).number for _ in range(11)] == list(range(1, 12))
    assert sorted(numbers(trial)) == list(range(1, 12))


def test_no_two_claims_get_the_same_number(trial):
    with ThreadPoolExecutor(8) as pool:
        claimed = [attempt.number for attempt in pool.map(Attempt.claim, [trial] * 40)]
    assert sorted(claimed) == list(range(1, 41))


def test_a_new_attempt_is_an_empty_folder_of_its_own(trial):
    attempt = Attempt.claim(trial)
    assert attempt.folder == trial / "attempt-1"
    assert names_in(attempt.folder) == []
    assert (attempt.checkpoint(), attempt.outcome(), Attempt.finished(trial)) == (None, None, None)


def test_a_trial_that_never_began_has_no_attempts(trial):
    assert numbers(trial) == []
    assert Attempt.finished(trial) is None


def test_an_outcome_survives_its_file_digit_by_digit(trial):
    attempt = Attempt.claim(trial)
    attempt.finish(OUTCOME)
    assert repr(attempt.outcome()) == repr(OUTCOME)
    assert repr(Attempt.finished(trial)) == repr((attempt, OUTCOME))


def test_the_newest_finished_attempt_counts(trial):
    for number in range(1, 12):
        attempt = Attempt.claim(trial)
        if number in (2, 10):
            attempt.finish(OUTCOME)
    newest, _ = Attempt.finished(trial)
    assert newest.number == 10


def test_a_checkpoint_is_what_was_saved_last(trial):
    attempt = Attempt.claim(trial)
    for epoch in (1, 2):
        attempt.save_checkpoint({"epochs": epoch, "weights": torch.full((2,), float(epoch))})
    found = attempt.checkpoint()
    assert found["epochs"] == 2
    assert found["weights"].tolist() == [2.0, 2.0]
    assert names_in(attempt.folder) == ["checkpoint.pt"]


def test_a_later_attempt_continues_from_the_newest_checkpoint(trial):
    attempts = []
    for number in range(1, 12):
        attempts.append(Attempt.claim(trial))
        if number in (2, 9):
            attempts[-1].save_checkpoint({"of": number})
    assert attempts[10].checkpoint() == {"of": 9}
    assert attempts[4].checkpoint() is None  # a lost worker never sees its successors


def test_a_checkpoint_replaces_those_of_earlier_attempts(trial):
    attempts = []
    for number in (1, 2):
        attempts.append(Attempt.claim(trial))
        attempts[-1].save_checkpoint({"of": number})
    assert [attempt.checkpoint_path.exists() for attempt in attempts] == [False, True]


def test_an_attempt_that_was_given_up_writes_nothing_others_rely_on(trial):
    stale = Attempt.claim(trial)
    stale.save_checkpoint({"of": 1})
    successor = Attempt.claim(trial)
    assert (stale.is_stale, successor.is_stale) == (True, False)
    stale.save_checkpoint({"of": "too late"})
    stale.finish(OUTCOME)
    assert stale.outcome() is None
    assert successor.checkpoint() == {"of": 1}


def test_a_checkpoint_holds_plain_values_only(trial):
    attempt = Attempt.claim(trial)
    attempt.save_checkpoint({"code": OUTCOME})
    with pytest.raises(UnpicklingError, match="weights_only"):
        attempt.checkpoint()


def test_a_finished_attempt_needs_no_checkpoint(trial):
    attempt = Attempt.claim(trial)
    attempt.save_checkpoint({"epochs": 1})
    attempt.finish(OUTCOME)
    assert names_in(attempt.folder) == ["outcome.json"]


def test_tables_become_parquet_and_tensors_safetensors(trial):
    attempt = Attempt.claim(trial)
    turned = torch.randn(3, 2).T  # not contiguous
    attempt.save("weights", {"turned": turned})
    attempt.save("bounds", pa.table({"size": [1, 2]}))
    assert torch.equal(load_file(attempt.folder / "weights.safetensors")["turned"], turned)
    assert pq.read_table(attempt.folder / "bounds.parquet").to_pydict() == {"size": [1, 2]}


def test_half_an_outcome_is_none(trial):
    attempt = Attempt.claim(trial)
    (attempt.folder / "outcome.json").write_text('{"state": "comp')
    assert attempt.outcome() is None
