"""Trials of one process: stepped together where that is faster, and never to each other's harm."""

from math import isnan

import pytest
import torch

from tests.trainables.trials import RULES, same, study_of, task_of, timeless
from trainables import packer
from trainables.member import TrainingError
from trainables.pack import Pack
from trainables.packer import Packer
from trainables.training import TrialRun

STUDY = study_of()
RATES = (1e-3, 3e-3, 1e-2)


@pytest.fixture
def is_faster(monkeypatch):
    """Says what a try finds, which depends on the machine."""

    def say(answer):
        monkeypatch.setattr(packer, "_is_faster_together", lambda members: answer)

    return say


def runs_of(rates=RATES, **training):
    return {
        f"trial-{place}": TrialRun(
            task_of(f"trial-{place}", learning_rate=rate, seeds=(place, place + 10), **training),
            STUDY,
            RULES,
        )
        for place, rate in enumerate(rates)
    }


def finished(runs, packer=None):
    """Outcomes or errors of runs to their ends."""
    ended = {}
    while going := {name: run for name, run in runs.items() if name not in ended}:
        trained = packer.train(going) if packer else {}
        for name, run in going.items():
            try:
                run.advance(trained.get(name))
            except TrainingError as error:
                ended[name] = str(error)
            if run.outcome:
                ended[name] = run.outcome
    return ended


def test_trials_that_train_together_end_as_those_that_train_alone(is_faster):
    is_faster(True)
    alone, together = finished(runs_of()), finished(runs_of(), Packer())
    for name, outcome in alone.items():
        assert outcome.execution["pack"] == 1
        assert together[name].execution["pack"] == 2 * len(RATES)
        assert together[name].metrics == pytest.approx(outcome.metrics, abs=1e-3)
        losses = [of["metrics"]["train/loss"] for of in together[name].history]
        expected = [of["metrics"]["train/loss"] for of in outcome.history]
        assert losses == pytest.approx(expected, abs=1e-4)


def test_a_list_of_configurations_ranks_the_same_after_a_full_run(is_faster):
    is_faster(True)
    rates = (1e-5, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
    ranks = []
    for packing in (None, Packer()):
        ended = finished(runs_of(rates, epochs=8), packing)
        quality = {name: ended[name].metrics["val/map_at_r.size2"] for name in ended}
        assert len(set(quality.values())) == len(rates)
        ranks.append(sorted(quality, key=lambda name, of=quality: of[name]))
    assert ranks[0] == ranks[1]


def test_what_is_not_faster_is_left_where_it_was(is_faster):
    is_faster(False)
    runs = runs_of()
    before = [run.state() for run in runs.values()]
    assert Packer().train(runs) == {}
    assert same([run.state() for run in runs.values()], before)


def test_a_try_changes_nothing(monkeypatch):
    monkeypatch.setattr(packer, "GAIN", float("inf"))
    alone, tried = finished(runs_of()), finished(runs_of(), Packer())
    assert {name: timeless(outcome) for name, outcome in tried.items()} == {
        name: timeless(outcome) for name, outcome in alone.items()
    }


def test_a_loss_that_is_not_finite_ends_its_own_trial_only(is_faster):
    is_faster(True)
    rates = (1e-3, 1e30, 1e-2)
    alone, together = finished(runs_of(rates)), finished(runs_of(rates), Packer())
    assert together["trial-1"] == alone["trial-1"]
    assert "the loss became nan in epoch" in together["trial-1"]
    for name in ("trial-0", "trial-2"):
        assert together[name].metrics == pytest.approx(alone[name].metrics, abs=1e-3)


def test_an_error_in_the_midst_leaves_all_to_themselves_from_where_they_were(
    is_faster, monkeypatch
):
    is_faster(True)
    train, calls = Pack.train_epoch, []

    def failing(pack):
        losses = train(pack)
        calls.append(losses)
        if len(calls) == 4:
            raise RuntimeError("a component gave up")
        return losses

    monkeypatch.setattr(Pack, "train_epoch", failing)
    alone, together = finished(runs_of()), finished(runs_of(), Packer())
    assert len(calls) == 4
    for name, outcome in alone.items():
        assert together[name].metrics == pytest.approx(outcome.metrics, abs=1e-3)
        assert together[name].execution["pack"] > 1


def test_trials_of_other_shapes_are_stepped_apart(is_faster):
    is_faster(True)
    runs = runs_of() | {
        "wider": TrialRun(
            task_of("wider", {"encoder": {"mlp": {"width": 7, "hidden": 8}}}, seeds=(5, 6)),
            STUDY,
            RULES,
        )
    }
    trained = Packer().train(runs)
    assert {name: of.pack for name, of in trained.items()} == {
        **dict.fromkeys(("trial-0", "trial-1", "trial-2"), 6),
        "wider": 2,
    }


def test_a_single_member_and_what_is_no_tensor_program_stay_alone(is_faster):
    is_faster(True)
    lent = {"aggregator": {"library-MeanAggregation": {}}}
    runs = {
        "one fold": TrialRun(task_of(phase="confirmation", seeds=(1,)), STUDY, RULES),
        "library": TrialRun(task_of(changes=lent), STUDY, RULES),
        "untrained": TrialRun(task_of(phase="untrained", seeds=(1,)), STUDY, RULES),
    }
    assert Packer().train(runs) == {}


def test_members_leave_a_pack_that_goes_on(is_faster):
    is_faster(True)
    runs, shared = runs_of(), Packer()
    expected = finished(runs_of())
    for name, trained in shared.train(runs).items():
        runs[name].advance(trained)
    runs["trial-1"].stop("pruned", "enough")
    left = {name: run for name, run in runs.items() if name != "trial-1"}
    quality = runs["trial-1"].quality
    ended = finished(left, shared)
    for name, outcome in ended.items():
        assert outcome.metrics == pytest.approx(expected[name].metrics, abs=1e-3)
    assert runs["trial-1"].quality == quality
    assert not isnan(quality)


def test_a_pack_survives_a_restart(is_faster):
    is_faster(True)
    runs = runs_of()
    for name, trained in Packer().train(runs).items():
        runs[name].advance(trained)
    again = runs_of()
    for name, run in again.items():
        run.restore(runs[name].state())
    one, other = finished(runs, Packer()), finished(again, Packer())
    for name, outcome in one.items():
        assert timeless(outcome) == timeless(other[name])


def test_global_randomness_stays_as_it_was(is_faster):
    is_faster(True)
    before = torch.get_rng_state()
    Packer().train(runs_of())
    assert torch.equal(torch.get_rng_state(), before)
