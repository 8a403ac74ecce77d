"""Packs on a real Ray cluster of this machine; the trainable itself runs in the test's process."""

import pickle
import time
from itertools import pairwise

import pytest
import torch

from tests.local_ray import local_ray
from tests.trainables.trials import RULES, VIEWED, study_of, task_of, timeless
from trainables import packer, trainable
from trainables.attempt import Attempt, numbers
from trainables.limits import Limits
from trainables.trainable import PackTrainable
from trainables.training import TrialRun

pytestmark = pytest.mark.ray
DIFFERENT = {
    "a": task_of("a"),
    "b": task_of("b", VIEWED, seeds=(3, 4)),
    "c": task_of("c", {"aggregator": {"deep_sets": {}}, "loss": {"arcface": {}}}),
}
SHARED = {"study": study_of(), "rules": RULES, "threads": 1, "limits": Limits()}


@pytest.fixture(scope="module")
def cluster():
    with local_ray(num_cpus=2, num_gpus=1) as ray:
        yield ray


def packed(tasks, folder):
    """The configuration of a pack of these trials."""
    room = {"gpus": 0, "has_more_memory": False}
    return {"tasks": pickle.dumps(tasks), "folder": str(folder), **room}


@pytest.fixture
def config(tmp_path):
    """Makes the configuration of a pack of the trials with these keys."""

    def configure(*keys, **training):
        return packed([task_of(key, **training) for key in keys], tmp_path)

    return configure


@pytest.fixture
def pack(cluster):
    """Starts a pack the way Tune does: with the shared things from the object store."""
    from ray import tune

    shared = {"study": study_of(), "rules": RULES, "threads": 1}
    shared |= {"is_stacked": False, "limits": Limits()}
    started = []

    def start(config, **changes):
        packs = tune.with_parameters(PackTrainable, **{**shared, **changes})
        started.append(packs(config))
        return started[-1]

    yield start
    for each in started:
        each.stop()


def to_the_end(pack):
    results = [pack.train()]
    while not results[-1]["is_over"]:
        results.append(pack.train())
    return results


def told(result):
    return dict(result["members"])


def outcome_of(folder, key):
    _, outcome = Attempt.finished(folder / key)
    return outcome


@pytest.fixture(scope="module")
def alone():
    run = TrialRun(task_of(), study_of(), RULES)
    return run.run()


@pytest.fixture(scope="module")
def each_alone():
    """Outcomes of the different trials, each run for itself, on one thread as in a pack."""
    torch.set_num_threads(1)
    return {
        key: timeless(TrialRun(task, study_of(), RULES).run()) for key, task in DIFFERENT.items()
    }


def test_a_pack_steps_its_trials_in_lock_step_to_their_ends(pack, config, alone, tmp_path):
    results = to_the_end(pack(config("a", "b")))
    assert [{m["epoch"] for m in told(r).values()} for r in results] == [{2}, {4}, {5}]
    finished = [{m["is_finished"] for m in told(r).values()} for r in results]
    assert finished == [{0}, {0}, {1}]
    for key in ("a", "b"):
        assert outcome_of(tmp_path, key).metrics == alone.metrics


def test_members_of_all_trials_are_stepped_as_one_where_that_is_faster(
    pack, config, alone, tmp_path, monkeypatch
):
    monkeypatch.setattr(packer, "_is_faster_together", lambda members: True)
    to_the_end(pack(config("a", "b"), is_stacked=True))
    for key in ("a", "b"):
        outcome = outcome_of(tmp_path, key)
        assert outcome.execution["pack"] == 4
        assert outcome.metrics == pytest.approx(alone.metrics, abs=1e-3)


def test_what_has_ended_is_told_before_all_have(pack, config, alone, tmp_path, monkeypatch):
    monkeypatch.setattr(trainable, "TOLD_SECONDS", 0.0)
    monkeypatch.setattr(packer, "_is_faster_together", lambda members: True)
    results = to_the_end(pack(config("a", "b", "c"), is_stacked=True))
    keys = [list(told(result)) for result in results]
    assert keys == [["a", "b", "c"], ["a", "b", "c"], ["a"], ["b"], ["c"]]
    for key in ("a", "b", "c"):
        assert outcome_of(tmp_path, key).metrics == pytest.approx(alone.metrics, abs=1e-3)


def test_what_was_trained_together_is_judged_before_a_process_is_given_another_pack(
    pack, config, alone, tmp_path, monkeypatch
):
    monkeypatch.setattr(trainable, "TOLD_SECONDS", 0.0)
    monkeypatch.setattr(packer, "_is_faster_together", lambda members: True)
    reused = pack(config("a", "b"), is_stacked=True)
    while not told(reused.train())["a"]["is_finished"]:
        assert Attempt.finished(tmp_path / "b") is None
    assert Attempt.finished(tmp_path / "b") is None
    reused.reset(config("c"))
    assert outcome_of(tmp_path, "b").metrics == pytest.approx(alone.metrics, abs=1e-3)


def test_a_pack_says_how_long_it_has_been_at_work(pack, config):
    reused = pack(config("a"))
    seconds = [result["seconds"] for result in to_the_end(reused)]
    assert seconds == sorted(seconds)
    reused.reset(config("b"))
    assert 0 < reused.train()["seconds"] < seconds[-1]


def test_reports_are_numbers(pack, config):
    for result in to_the_end(pack(config("a", "b"))):
        for key in ("a", "b"):
            report = told(result)[key]
            assert set(report) == {"epoch", "quality", "is_finished", "lacks_memory"}
            assert all(type(value) in (int, float) for value in report.values())


def test_a_stop_order_ends_one_trial_as_pruned_and_the_other_goes_on(pack, config, alone, tmp_path):
    running = pack(config("a", "b"))
    first = running.train()
    running.obey({"a": "pruned after epoch 2"}, is_interrupted=False)
    assert told(running.train())["a"]["is_finished"] == 1
    assert set(told(to_the_end(running)[-1])) == {"b"}
    pruned = outcome_of(tmp_path, "a")
    assert (pruned.state, pruned.reason) == ("pruned", "pruned after epoch 2")
    assert [validation["epoch"] for validation in pruned.history] == [2]
    assert pruned.metrics["val/map_at_r.size2"] == told(first)["a"]["quality"]
    assert outcome_of(tmp_path, "b").metrics == alone.metrics


def test_a_failing_trial_leaves_the_rest_of_its_pack_alone(pack, alone, tmp_path):
    to_the_end(pack(packed([task_of("b"), task_of("a", learning_rate=1e38)], tmp_path)))
    assert outcome_of(tmp_path, "a").reason == "the loss became nan in epoch 1"
    assert outcome_of(tmp_path, "b").metrics == alone.metrics


@pytest.mark.parametrize("has_more", [True, False])
def test_a_trial_that_lacks_memory_is_reported_where_there_is_more(
    pack, config, alone, tmp_path, monkeypatch, has_more
):
    advance = TrialRun.advance

    def exhausted(run, trained=None):
        if run.key == "a" and run.epochs:
            raise torch.OutOfMemoryError("no room")
        advance(run, trained)

    monkeypatch.setattr(TrialRun, "advance", exhausted)
    results = to_the_end(pack({**config("a", "b"), "has_more_memory": has_more}))
    found = [told(result).get("a", {}) for result in results]
    assert [report.get("is_finished") for report in found] == [0, 1, None]
    assert [report.get("lacks_memory") for report in found] == [0, int(has_more), None]
    finished = Attempt.finished(tmp_path / "a")
    assert (finished is None) == has_more
    assert "no room" in (tmp_path / "a" / "attempt-1" / "error.txt").read_text()
    assert outcome_of(tmp_path, "b").metrics == alone.metrics


def test_a_pack_of_finished_trials_reports_them_once_and_is_over(pack, config):
    to_the_end(pack(config("a")))
    (only,) = to_the_end(pack(config("a")))
    assert told(only)["a"]["is_finished"] == 1


def test_a_process_takes_the_next_pack_as_if_it_were_new(pack, config, alone, tmp_path):
    reused = pack(config("a", learning_rate=0.5))
    to_the_end(reused)
    assert reused.reset(config("b"))
    to_the_end(reused)
    assert outcome_of(tmp_path, "b").metrics == alone.metrics


@pytest.mark.parametrize("packs", ["a b c", "cb a", "b ac"])
def test_neither_the_order_of_trials_nor_their_packs_change_a_result(
    pack, packs, each_alone, tmp_path
):
    configs = [packed([DIFFERENT[key] for key in keys], tmp_path) for keys in packs.split()]
    process = pack(configs[0])
    to_the_end(process)
    for following in configs[1:]:
        process.reset(following)
        to_the_end(process)
    assert {key: timeless(outcome_of(tmp_path, key)) for key in DIFFERENT} == each_alone


def test_a_process_that_is_given_another_pack_saves_the_one_it_had(pack, config, alone, tmp_path):
    reused = pack(config("a"))
    reused.train()
    reused.reset(config("b"))
    assert (tmp_path / "a" / "attempt-1" / "checkpoint.pt").exists()
    to_the_end(pack(config("a")))
    assert outcome_of(tmp_path, "a").metrics == alone.metrics
    assert sorted(numbers(tmp_path / "a")) == [1, 2]


def test_an_interrupted_pack_saves_its_trials_and_a_later_one_finishes_them(
    pack, config, alone, tmp_path
):
    interrupted = pack(config("a"))
    assert not interrupted.train()["done"]
    interrupted.obey({}, is_interrupted=True)
    assert interrupted.train()["done"]
    assert Attempt.finished(tmp_path / "a") is None
    interrupted.reset(config("a"))
    to_the_end(interrupted)
    assert outcome_of(tmp_path, "a").metrics == alone.metrics


def test_a_pack_runs_in_a_process_of_the_cluster(cluster, config, alone, tmp_path):
    from ray import tune

    packs = tune.with_parameters(
        PackTrainable, study=study_of(), rules=RULES, threads=1, is_stacked=False, limits=Limits()
    )
    actor = cluster.remote(packs).options(num_cpus=1).remote(config("a"))
    while not cluster.get(actor.train.remote())["is_over"]:
        pass
    cluster.kill(actor)
    assert outcome_of(tmp_path, "a").metrics == pytest.approx(alone.metrics)


@pytest.mark.skipif(torch.cuda.is_available(), reason="torch can use the GPU")
def test_a_gpu_that_torch_cannot_use_is_told(cluster, config):
    from ray import tune

    packs = tune.with_parameters(
        PackTrainable, study=study_of(), rules=RULES, threads=1, is_stacked=False, limits=Limits()
    )
    actor = cluster.remote(packs).options(num_cpus=1, num_gpus=0.5).remote(config("a"))
    with pytest.raises(cluster.exceptions.RayActorError, match="gpus_per_pack: 0"):
        cluster.get(actor.train.remote())


def test_a_trial_that_is_stopped_later_in_a_round_is_so_when_its_turn_comes(
    pack, config, tmp_path, monkeypatch
):
    monkeypatch.setattr(trainable, "TOLD_SECONDS", 0.0)
    running = pack(config("b"))
    running.train()
    running.obey({"b": "first"}, is_interrupted=False)
    running.obey({"other": "second"}, is_interrupted=False)
    assert running.train()["is_over"]
    assert outcome_of(tmp_path, "b").reason == "first"


def test_what_one_pack_was_told_is_nothing_to_the_next(pack, config, tmp_path):
    reused = pack(config("a"))
    reused.train()
    reused.obey({"b": "of another pack"}, is_interrupted=True)
    reused.reset(config("b"))
    assert not any(result["done"] for result in to_the_end(reused))
    assert outcome_of(tmp_path, "b").state == "complete"


def test_a_pack_that_is_kept_tells_what_has_ended_at_once_and_waits_ever_longer(pack, config):
    kept = pack(config("a"))
    last = to_the_end(kept)[-1]
    assert told(last)["a"]["is_finished"]
    assert not last["done"]
    began = time.monotonic()
    idle = [kept.train() for _ in range(12)]
    assert all(result["is_over"] and not told(result) for result in idle)
    pauses = [later["seconds"] - earlier["seconds"] for earlier, later in pairwise(idle)]
    assert min(pauses) >= trainable.SHORTEST_PAUSE_SECONDS
    assert pauses[-1] > 2 * pauses[0]
    assert time.monotonic() - began < 12 * trainable.LONGEST_PAUSE_SECONDS


def test_a_process_that_is_never_stepped_claims_nothing(pack, config, tmp_path):
    pack(config("a"))
    assert numbers(tmp_path / "a") == []


def test_a_pack_whose_trials_have_ended_is_not_held_to_their_time_limit(pack, config):
    started = pack(config("a"), is_stacked=True, limits=Limits(seconds=600.0))
    to_the_end(started)
    time.sleep(0.1)
    assert told(started.train()) == {}
    time.sleep(0.1)
    assert started.train()["is_over"]
