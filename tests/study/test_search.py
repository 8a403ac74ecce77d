"""The conductor with a real record and a real journal, and Ray Tune around it."""

import pickle
import shutil
import time
from collections import Counter
from dataclasses import replace

import pytest
from optuna.trial import TrialState
from ray import cloudpickle

from study.conductor import Conductor
from study.manifest import manifest
from study.proposals import Proposals
from study.record import Record
from study.search import PackScheduler, PackSearcher
from study.storage import open_storage
from study.tuning import Engine
from tests.local_ray import local_ray
from tests.study.files import accepted
from trainables.attempt import Attempt, Outcome

pytestmark = pytest.mark.ray
MEAN, MAX = "linear+mean+triplet", "linear+max+triplet"
TWO = "search.aggregator.max: {}"
ONE_EACH = ["budget.trials_per_combination: 1", "budget.pack: 1"]
UNREAD = "protocol.confirmation: {top: 0}"
RAW = "identity+mean+untrained"
WHOLE = {"gpus": 0}
FINISHED = {"epoch": 1, "quality": 0.5, "is_finished": 1, "lacks_memory": 0}

SHORT_OF_MEMORY = FINISHED | {"lacks_memory": 1}


def validated(quality, epoch=1):
    """What a pack reports of a trial that goes on."""
    return {"epoch": epoch, "quality": quality, "is_finished": 0, "lacks_memory": 0}


class Driver:
    """What a driver has of a study; made again, it is the next driver, after the first was lost."""

    def __init__(self, folder, *changes, concurrent=1):
        self.study = accepted(folder, *changes)
        wanted = manifest(self.study)
        self.record = Record.create(folder / "small", wanted).extend(wanted)
        storage = open_storage(self.record)
        parts = self.study.combinations
        self.proposals = {p.label: Proposals(self.record, p, storage) for p in parts}
        self.observed = []
        self.conductor = Conductor(
            self.record,
            list(self.proposals.values()),
            unfinished=[t for p in self.proposals.values() for t in p.resume()],
            observer=self.observed.append,
            concurrent=concurrent,
        )

    def leave(self, trial, state="complete", reason="", quality=0.5):
        """Leaves what a worker leaves of a finished trial."""
        found = {"val/map_at_r.size2": quality} if state == "complete" else {}
        attempt = Attempt.claim(self.record.trials_folder / trial.key)
        attempt.finish(Outcome(state, reason, found, [], [], 1.0, 2.0))

    def report(self, pack, members, seconds=1.0):
        """Reports of a pack, and lets the conductor do what that brings; what shall stop of it."""
        stopped = self.conductor.report(pack, members, seconds)
        self.conductor.settle()
        return stopped

    def run(self, pack, trials, seconds=1.0, **outcome):
        """Lets the trials of a pack finish, each of them reported, and then the pack end."""
        for trial in trials:
            self.leave(trial, **outcome)
            self.report(pack, {trial.key: FINISHED}, seconds)
        self.conductor.end(pack)

    def run_next(self, pack, **outcome):
        trials = self.conductor.next_pack(pack)
        self.run(pack, trials, **outcome)
        return [trial.key for trial in trials]

    def told(self, label=MEAN):
        return [trial.state for trial in self.frozen(label)]

    def frozen(self, label=MEAN):
        return self.proposals[label]._study.get_trials(deepcopy=False)


def tasks_of(configuration):
    return pickle.loads(configuration["tasks"])


@pytest.fixture(scope="module")
def cluster():
    with local_ray(num_cpus=1):
        yield


@pytest.fixture
def driver(tmp_path):
    """Starts a driver on the folder of the test."""

    def start(*changes, concurrent=1):
        return Driver(tmp_path, *changes, concurrent=concurrent)

    return start


def test_packs_take_turns_among_combinations_that_are_equally_far(driver):
    study = driver(TWO, "budget.trials_per_combination: 4", "budget.pack: 2")
    packs = [study.conductor.next_pack(str(number)) for number in range(4)]
    assert [[t.combination for t in pack] for pack in packs] == 2 * [2 * [MEAN], 2 * [MAX]]
    assert len({trial.key for pack in packs for trial in pack}) == 8
    assert study.conductor.running == 8


def test_a_combination_that_was_added_later_catches_up(driver):
    driver("budget.trials_per_combination: 4", "budget.pack: 2").run_next("first")
    study = driver(TWO, "budget.trials_per_combination: 4", "budget.pack: 2")
    packs = [study.conductor.next_pack(str(number)) for number in range(3)]
    assert [pack[0].combination for pack in packs] == [MAX, MEAN, MAX]


def test_trials_that_a_lost_driver_left_come_before_new_ones(driver):
    left = driver("budget.pack: 2").conductor.next_pack("first")
    study = driver("budget.pack: 3")
    pack = study.conductor.next_pack("second")
    assert pack[:2] == left
    assert [trial.number for trial in pack] == [0, 1, 2]


@pytest.mark.parametrize("alike", [True, False])
def test_the_trials_of_a_pack_share_their_choices_where_that_is_asked(driver, alike):
    widths = "search.encoder.linear.width: {low: 8, high: 512}"
    study = driver(widths, f"budget.alike: {str(alike).lower()}", "budget.pack: 4")
    pack = study.conductor.next_pack("first")
    found = {trial.configuration["encoder"]["linear"]["width"] for trial in pack}
    assert len(pack) == 4
    assert (len(found) == 1) == alike


@pytest.mark.parametrize(
    ("concurrent", "sizes"), [(1, [4, 4]), (2, [4, 4]), (3, [3, 3, 2]), (8, [1] * 8)]
)
def test_every_process_has_work_until_the_end(driver, concurrent, sizes):
    study = driver("budget.trials_per_combination: 8", "budget.pack: 4", concurrent=concurrent)
    packs = [study.conductor.next_pack(str(number)) for number in range(len(sizes) + 1)]
    assert [len(pack) for pack in packs] == [*sizes, 0]


@pytest.mark.parametrize(
    ("stacked", "concurrent", "sizes"),
    [("auto", 2, [10, 10]), ("never", 2, [9, 9, 2]), ("never", 1, [20])],
)
def test_of_trials_that_train_one_after_the_other_some_are_left_for_whoever_is_first(
    driver, stacked, concurrent, sizes
):
    changes = ["budget.trials_per_combination: 20", "budget.pack: 20"]
    study = driver(*changes, f"budget.stacked: {stacked}", concurrent=concurrent)
    packs = [study.conductor.next_pack(str(number)) for number in range(len(sizes) + 1)]
    assert [len(pack) for pack in packs] == [*sizes, 0]


@pytest.mark.parametrize(("epoch", "size"), [(0, 4), (2, 3), (4, 2)])
def test_a_process_leaves_work_to_one_that_will_soon_have_none(driver, epoch, size):
    changes = ["budget.trials_per_combination: 12", "budget.pack: 4", "search.training.epochs: 4"]
    study = driver(*changes, concurrent=2)
    first, second = (study.conductor.next_pack(pack) for pack in ("first", "second"))
    study.run("first", first)
    study.report("second", {trial.key: validated(0.5, epoch) for trial in second}, seconds=60.0)
    assert len(study.conductor.next_pack("third")) == size


def test_what_a_pack_has_done_since_its_last_report_is_told_by_the_clock(driver):
    changes = ["budget.trials_per_combination: 12", "budget.pack: 4"]
    study = driver(*changes, concurrent=2)
    first, second = (study.conductor.next_pack(pack) for pack in ("first", "second"))
    study.run("first", first)
    study.leave(second[0])
    study.report("second", {second[0].key: FINISHED}, seconds=0.1)
    time.sleep(0.5)
    assert len(study.conductor.next_pack("third")) == 2


def test_as_many_trials_are_asked_for_ahead_as_have_come_to_their_ends(driver):
    study = driver("budget.trials_per_combination: 8", "budget.pack: 3", UNREAD)
    first, second, third = study.conductor.next_pack("first")
    study.leave(first)
    study.leave(second, state="pruned", reason="pruned after epoch 1")
    study.report("first", {first.key: FINISHED, second.key: FINISHED})
    *_, ahead = study.record.trials()
    assert len(study.record.trials()) == 4
    study.run("first", [third])
    assert len(study.record.trials()) == 5
    assert study.conductor.next_pack("second")[0] == ahead
    assert driver("budget.pack: 3").conductor.next_pack("again")[0] == ahead


def test_what_takes_long_is_done_after_a_report_and_not_in_it(driver):
    study = driver(*ONE_EACH)
    (trial,) = study.conductor.next_pack("pack")
    study.leave(trial)
    study.conductor.report("pack", {trial.key: FINISHED}, 1.0)
    assert study.record.results() == []
    study.conductor.end("pack")
    assert [result.trial for result in study.record.results()] == [trial]


def test_a_trial_that_lacked_memory_runs_once_more_alone_and_on_a_whole_gpu(driver):
    study = driver("budget.trials_per_combination: 2", "budget.pack: 2", UNREAD)
    searcher = PackSearcher(study.conductor, {"gpus": 0.25}, 2)
    first = searcher.suggest("first")
    assert (first["gpus"], first["has_more_memory"]) == (0.25, True)
    small, large = study.record.trials()[:2]
    study.leave(small)
    study.report("first", {small.key: FINISHED, large.key: SHORT_OF_MEMORY})
    assert [result.trial for result in study.record.results()] == [small]
    assert not study.conductor.is_finished
    searcher.on_trial_complete("first")
    second = searcher.suggest("second")
    assert (second["gpus"], second["has_more_memory"]) == (1, False)
    assert tasks_of(second) == [large.task()]
    study.run("second", [large], state="failed", reason="out of memory: no room")
    assert study.told() == [TrialState.COMPLETE, TrialState.FAIL]


def test_a_trial_that_lacked_memory_waits_for_the_search_and_keeps_its_room_if_it_is_lost(driver):
    study = driver("budget.trials_per_combination: 3", "budget.pack: 1", UNREAD)
    searcher = PackSearcher(study.conductor, {"gpus": 0.5}, 2)
    searcher.suggest("first")
    large, *_ = study.record.trials()
    study.report("first", {large.key: SHORT_OF_MEMORY})
    searcher.on_trial_complete("first")
    for pack in ("second", "third"):
        suggested = searcher.suggest(pack)
        assert suggested["gpus"] == 0.5
        (trial,) = (t for t in study.record.trials() if t.key == tasks_of(suggested)[0].key)
        study.leave(trial)
        study.report(pack, {trial.key: FINISHED})
        searcher.on_trial_complete(pack)
    for pack in ("fourth", "fifth"):  # its process dies the first time
        suggested = searcher.suggest(pack)
        assert tasks_of(suggested)[0].key == large.key
        assert (suggested["gpus"], suggested["has_more_memory"]) == (1, False)
        searcher.on_trial_complete(pack)


@pytest.mark.parametrize(
    ("pack", "gpus", "has_more"), [(1, 0, False), (1, 2, False), (1, 0.5, True), (2, 0, True)]
)
def test_a_trial_could_have_more_memory_beside_others_or_on_a_share(driver, pack, gpus, has_more):
    study = driver(f"budget.pack: {pack}")
    suggested = PackSearcher(study.conductor, {"gpus": gpus}, 1).suggest("pack")
    assert (suggested["gpus"], suggested["has_more_memory"]) == (gpus, has_more)


def test_every_trial_that_is_handed_out_is_planned_in_the_record(driver):
    study = driver()
    assert study.conductor.next_pack("pack") == study.record.trials()


@pytest.mark.parametrize(
    ("state", "reason", "told"),
    [
        ("complete", "", TrialState.COMPLETE),
        ("pruned", "pruned after epoch 1", TrialState.PRUNED),
        ("failed", "the loss became nan", TrialState.FAIL),
    ],
)
def test_a_finished_trial_is_published_told_and_observed(driver, state, reason, told):
    study = driver(*ONE_EACH)
    (trial,) = study.conductor.next_pack("pack")
    study.run("pack", [trial], state=state, reason=reason)
    (result,) = study.record.results()
    assert (result.trial, result.attempt) == (trial, 1)
    assert (result.outcome.state, result.outcome.reason) == (state, reason)
    assert study.told() == [told]
    assert study.observed == [result]
    assert study.conductor.running == 0


def test_optuna_is_not_told_of_a_trial_that_could_not_be_published(driver):
    study = driver(*ONE_EACH)
    (trial,) = study.conductor.next_pack("pack")
    study.leave(trial)
    (study.record.trials_folder / trial.key / "result.json").mkdir()
    with pytest.raises(IsADirectoryError):
        study.report("pack", {trial.key: FINISHED})
    assert study.told() == [TrialState.RUNNING]
    assert study.observed == []


def test_a_trial_that_a_restarted_pack_reports_again_is_published_once(driver):
    study = driver("budget.pack: 2")
    first, second = study.conductor.next_pack("pack")
    study.leave(first)
    for _ in range(2):
        study.report("pack", {first.key: FINISHED, second.key: validated(0.5)})
    assert [result.trial for result in study.observed] == [first]
    assert study.conductor.running == 1


def test_a_trial_that_is_lost_without_retries_has_failed_with_the_reason(driver):
    study = driver("budget.trials_per_combination: 2", "budget.pack: 2", "budget.retries: 0")
    done, lost = study.conductor.next_pack("pack")
    study.leave(done)
    study.report("pack", {done.key: FINISHED, lost.key: validated(0.5)})
    study.conductor.end("pack")
    outcome = study.record.result(lost.key).outcome
    assert (outcome.state, outcome.reason) == ("failed", "its process died")
    assert study.told() == [TrialState.COMPLETE, TrialState.FAIL]
    assert [result.trial for result in study.observed] == [done, lost]


def test_lost_trials_run_again_at_once_and_each_in_a_pack_of_its_own(driver):
    study = driver("budget.trials_per_combination: 4", "budget.pack: 2", "budget.retries: 1")
    guilty, innocent = study.conductor.next_pack("both")
    study.conductor.end("both")
    assert study.told() == 2 * [TrialState.RUNNING]
    assert study.conductor.next_pack("first") == [guilty]
    assert study.conductor.next_pack("second") == [innocent]
    study.conductor.end("first")
    study.run("second", [innocent])
    outcomes = {r.trial.key: r.outcome for r in study.record.results()}
    assert outcomes[guilty.key].reason == "its process died, 2 times"
    assert outcomes[innocent.key].state == "complete"
    assert study.told()[:2] == [TrialState.FAIL, TrialState.COMPLETE]


def test_the_error_that_ended_a_process_is_the_reason_of_its_trials(driver):
    study = driver(*ONE_EACH, "budget.retries: 0")
    (trial,) = study.conductor.next_pack("pack")
    study.conductor.blame("pack", "OSError: no route to the disk")
    study.conductor.end("pack")
    outcome = study.record.result(trial.key).outcome
    assert outcome.reason == "its process ended with OSError: no route to the disk"


def test_a_study_is_not_finished_while_a_lost_trial_waits(driver):
    study = driver(*ONE_EACH, "protocol.confirmation: {top: 0}")
    (trial,) = study.conductor.next_pack("first")
    study.conductor.end("first")
    assert not study.conductor.is_finished
    study.run("again", study.conductor.next_pack("again"))
    assert study.conductor.next_pack("more") == []
    assert study.conductor.is_finished
    assert [result.trial for result in study.observed] == [trial]


def test_the_packs_of_a_tuner_that_broke_down_run_again_one_at_a_time(driver):
    study = driver("budget.trials_per_combination: 4", "budget.pack: 1", concurrent=2)
    lost = [study.conductor.next_pack(pack) for pack in "ab"]
    study.conductor.end_all()
    assert study.conductor.running == 0
    for trials, pack in zip(lost, "cd", strict=True):
        assert study.conductor.next_pack(pack) == trials
        assert study.conductor.next_pack("beside it") == []
        study.run(pack, trials)
    assert len(study.conductor.next_pack("e")) == len(study.conductor.next_pack("f")) == 1


def test_the_only_pack_of_a_tuner_that_broke_down_is_to_blame(driver):
    study = driver(
        "budget.trials_per_combination: 2", "budget.pack: 1", "budget.retries: 0", UNREAD
    )
    innocent, guilty = (study.conductor.next_pack(pack)[0] for pack in "ab")
    study.conductor.end_all()
    study.run_next("c")
    study.conductor.next_pack("d")
    study.conductor.end_all()
    assert study.conductor.next_pack("e") == []
    assert study.conductor.is_finished
    states = [study.record.result(trial.key).outcome.state for trial in (innocent, guilty)]
    assert states == ["complete", "failed"]


def test_an_error_while_tune_calls_stops_the_study_and_is_kept(driver):
    study = driver(*ONE_EACH)
    searcher = PackSearcher(study.conductor, WHOLE, 1)
    (task,) = tasks_of(searcher.suggest("pack"))
    shutil.rmtree(study.record.trials_folder)
    study.record.trials_folder.touch()  # nothing can be written below a file
    searcher.on_trial_complete("pack", error=True)
    assert isinstance(study.conductor.error, OSError)
    assert searcher.suggest("next") == PackSearcher.FINISHED
    assert study.told() == [TrialState.RUNNING]


def test_a_trial_whose_process_died_before_its_last_report_counts_as_it_ended(driver):
    study = driver(*ONE_EACH)
    (trial,) = study.conductor.next_pack("pack")
    study.leave(trial, quality=0.75)
    study.conductor.end("pack")
    assert study.record.result(trial.key).outcome.state == "complete"
    assert study.frozen()[0].value == 0.75


def test_a_pack_is_told_which_trial_is_pruned_and_why_and_the_rest_goes_on(driver):
    study = driver("budget.trials_per_combination: 8", "budget.pack: 2")
    before = study.conductor.next_pack("before")
    going_on = {trial.key: validated(0.8, epoch=3) for trial in before}
    assert study.report("before", going_on) == {}
    study.run("before", before)
    good, poor = study.conductor.next_pack("pack")
    members = {good.key: validated(0.9, epoch=3), poor.key: validated(0.1, epoch=3)}
    assert study.report("pack", members) == {poor.key: "pruned after epoch 3"}
    assert study.record.result(poor.key) is None  # until its worker has ended it


def test_confirmations_come_once_the_search_of_their_combination_has_ended(driver):
    study = driver("budget.trials_per_combination: 2", "budget.pack: 1", concurrent=2)
    worse, better = (study.conductor.next_pack(pack) for pack in ("a", "b"))
    study.run("a", worse, quality=0.25)
    assert study.conductor.next_pack("c") == []
    assert not study.conductor.is_finished
    study.run("b", better, quality=0.75)
    assert study.run_next("c", state="failed", reason="a reason") == [f"{MEAN}-0001-confirm-1"]
    baselines = [study.run_next(pack) for pack in "def"]
    assert baselines == [[f"{MEAN}-0001-ensemble"], [f"{MEAN}-0001-untrained-1"], [RAW]]
    assert study.conductor.next_pack("g") == []
    assert study.conductor.is_finished
    assert study.told() == 2 * [TrialState.COMPLETE]


def test_confirmations_of_one_combination_do_not_wait_for_another(driver):
    study = driver(TWO, *ONE_EACH, concurrent=2)
    first, second = (study.conductor.next_pack(pack) for pack in ("a", "b"))
    study.run("a", first)
    (confirmation,) = study.conductor.next_pack("c")
    assert (confirmation.phase, confirmation.combination) == ("confirmation", MEAN)
    study.run("b", second)
    others = [study.conductor.next_pack(pack)[0] for pack in "defgh"]
    assert [trial.combination for trial in others] == [MEAN, MEAN, MAX, MAX, MAX]


def may_end(study, *started):
    """Whether packs may end, once these have started."""
    for pack in started:
        study.conductor.started(pack)
    return study.conductor.may_end()


def test_no_pack_ends_while_another_is_starting(driver):
    study = driver("budget.pack: 1", concurrent=2)
    study.conductor.next_pack("a")
    study.conductor.next_pack("b")
    assert not may_end(study, "a")
    assert may_end(study, "b")


def test_a_pack_that_is_gone_is_not_waited_for(driver):
    study = driver("budget.pack: 1", concurrent=2)
    study.conductor.next_pack("a")
    study.conductor.end("a")
    assert study.conductor.may_end()


def test_all_packs_may_end_once_the_study_is_stopped(driver):
    study = driver("budget.pack: 1")
    study.conductor.next_pack("a")
    assert not study.conductor.may_end()
    study.conductor.stop()
    assert study.conductor.may_end()


def test_processes_are_kept_for_what_the_last_trials_of_a_search_bring(driver):
    study = driver("budget.trials_per_combination: 2", "budget.pack: 1", concurrent=2)
    first = study.conductor.next_pack("a")
    assert may_end(study, "a")
    second = study.conductor.next_pack("b")
    study.leave(*first)
    study.report("a", {first[0].key: FINISHED})
    assert not may_end(study, "b")
    study.leave(*second)
    study.report("b", {second[0].key: FINISHED})
    assert may_end(study)


@pytest.mark.parametrize("pack", [1, 2])
def test_no_process_is_kept_where_something_waits_or_nothing_will_come(driver, pack):
    size, trials = f"budget.pack: {pack}", "budget.trials_per_combination: 2"
    study = driver(size, trials, *([UNREAD] if pack == 1 else []), concurrent=3 - pack)
    keys = [trial.key for name in "ab"[: 3 - pack] for trial in study.conductor.next_pack(name)]
    assert len(keys) == 2
    if pack == 2:  # one that lacked memory waits
        study.report("a", {keys[0]: SHORT_OF_MEMORY})
    assert may_end(study, "a", "b")


def test_the_next_driver_runs_only_confirmations_that_are_missing(driver):
    changes = [*ONE_EACH, "protocol.confirmation: {seeds: 3}"]
    first = driver(*changes)
    found = [first.run_next(pack) for pack in ("a", "b")]
    first.conductor.next_pack("c")
    again = driver(*changes)
    missing = [again.run_next(pack) for pack in "defghij"]
    assert found == [[f"{MEAN}-0000"], [f"{MEAN}-0000-confirm-1"]]
    tested = ["confirm-2", "confirm-3", "ensemble", *(f"untrained-{n}" for n in (1, 2, 3))]
    assert missing == [*([f"{MEAN}-0000-{name}"] for name in tested), [RAW]]
    assert again.conductor.next_pack("k") == []
    assert again.conductor.is_finished


def test_nothing_is_confirmed_where_nothing_is_complete(driver):
    study = driver(*ONE_EACH)
    study.run_next("a", state="failed", reason="a reason")
    assert study.run_next("b") == [RAW]
    assert study.conductor.next_pack("c") == []
    assert study.conductor.is_finished


def test_a_planned_confirmation_goes_on_with_the_seed_it_began_with(driver):
    first = driver(*ONE_EACH)
    first.run_next("a")
    (planned,) = first.conductor.next_pack("b")
    first.record.plan(replace(planned, seeds=(7,)))
    assert [trial.seeds for trial in driver(*ONE_EACH).conductor.next_pack("c")] == [(7,)]


def test_a_pruner_never_hears_of_confirmations(driver):
    study = driver(*ONE_EACH)
    study.run_next("a")
    (confirmation,) = study.conductor.next_pack("b")
    study.report("b", {confirmation.key: validated(0.1)})
    assert [trial.intermediate_values for trial in study.frozen()] == [{}]


def test_a_stopped_conductor_leaves_the_trials_of_its_packs_unfinished(driver):
    study = driver("budget.pack: 2")
    done, left = study.conductor.next_pack("pack")
    study.leave(done)
    study.conductor.stop()
    study.report("pack", {done.key: FINISHED, left.key: validated(0.5)})
    study.conductor.end("pack")
    assert [result.trial for result in study.record.results()] == [done]
    assert study.told() == [TrialState.COMPLETE, TrialState.RUNNING]
    assert study.conductor.is_finished
    assert driver("budget.pack: 1").conductor.next_pack("again") == [left]


def test_tune_is_given_the_tasks_of_a_pack_and_what_all_packs_share(driver):
    study = driver("budget.pack: 2")
    configuration = PackSearcher(study.conductor, WHOLE | {"folder": "there"}, 1).suggest("pack")
    assert configuration["folder"] == "there"
    assert tasks_of(configuration) == [trial.task() for trial in study.record.trials()]


def test_tune_waits_while_as_many_packs_run_as_shall_run_at_once(driver):
    searcher = PackSearcher(driver("budget.pack: 1").conductor, WHOLE, 2)
    assert [searcher.suggest(pack) is None for pack in "abc"] == [False, False, True]
    searcher.on_trial_complete("a")
    assert searcher.suggest("c")


def test_tune_waits_while_only_running_trials_can_bring_work_and_ends_after_them(driver):
    study = driver(*ONE_EACH)
    searcher = PackSearcher(study.conductor, WHOLE, 5)

    def end(pack, task):
        study.leave(study.record.trial(task.key))
        searcher.on_trial_complete(pack)

    (searched,) = tasks_of(searcher.suggest("a"))
    assert searcher.suggest("b") is None
    end("a", searched)
    tested = {pack: tasks_of(searcher.suggest(pack))[0] for pack in "cdef"}
    assert searcher.suggest("g") is None
    for pack, task in tested.items():
        end(pack, task)
    phases = [result.trial.phase for result in study.observed]
    assert phases == ["search", "confirmation", "ensemble", "untrained", "untrained"]
    assert searcher.suggest("h") == PackSearcher.FINISHED


def test_tune_is_given_nothing_more_after_an_interrupt(driver):
    study = driver()
    searcher = PackSearcher(study.conductor, WHOLE, 4)
    searcher.suggest("a")
    study.conductor.stop()
    assert searcher.suggest("b") == PackSearcher.FINISHED
    searcher.on_trial_complete("a", error=True)
    assert study.observed == []


def test_every_epoch_of_every_trial_of_a_pack_reaches_optuna_through_tune(driver, cluster):
    study = driver(
        "search.training.epochs: 3", "budget.trials_per_combination: 2", "budget.pack: 2"
    )
    shared = {"folder": str(study.record.trials_folder)}
    Engine(study.study, study.conductor, shared, 1, on_step=lambda: None).run()
    assert study.told() == 2 * [TrialState.COMPLETE]
    phases = Counter(result.trial.phase for result in study.observed)
    assert phases == {"search": 2, "confirmation": 1, "ensemble": 1, "untrained": 2}
    for frozen in study.frozen():
        outcome = study.record.result(f"{MEAN}-{frozen.number:04d}").outcome
        *before, last = [h["metrics"]["val/map_at_r.size2"] for h in outcome.history]
        assert frozen.intermediate_values == dict(enumerate(before, 1))
        assert frozen.value == last


def test_a_pack_under_tune_has_started_before_it_reports_and_hears_what_to_stop_before_it_goes_on(
    driver, cluster, monkeypatch
):
    events = []
    started, report = Conductor.started, Conductor.report

    def note_start(conductor, pack):
        events.append("started")
        started(conductor, pack)

    def note_report(conductor, *told):
        events.append("report")
        return report(conductor, *told)

    monkeypatch.setattr(Conductor, "started", note_start)
    monkeypatch.setattr(Conductor, "report", note_report)
    monkeypatch.setattr(Conductor, "_is_pruned", lambda *_: True)
    changes = ["search.training.epochs: 3", "budget.trials_per_combination: 3", "budget.pack: 3"]
    study = driver(*changes, UNREAD)
    shared = {"folder": str(study.record.trials_folder)}
    Engine(study.study, study.conductor, shared, 1, on_step=lambda: None).run()
    assert events[:2] == ["started", "report"]
    assert events.count("started") == 1
    outcomes = [result.outcome for result in study.observed]
    assert [outcome.reason for outcome in outcomes] == 3 * ["pruned after epoch 1"]
    assert [len(outcome.history) for outcome in outcomes] == 3 * [1]


def test_a_display_that_is_gone_stops_the_study_and_not_tune(driver, cluster):
    def fail():
        raise BrokenPipeError

    study = driver("budget.trials_per_combination: 2", "budget.pack: 1", UNREAD)
    shared = {"folder": str(study.record.trials_folder)}
    Engine(study.study, study.conductor, shared, 1, on_step=fail).run()
    assert isinstance(study.conductor.error, BrokenPipeError)
    assert study.told() == [TrialState.COMPLETE]  # the one that ran, of two


def test_a_process_that_raises_is_told_by_tune_with_its_error(driver, cluster):
    study = driver(*ONE_EACH, UNREAD, "budget.retries: 0")
    shared = {"folder": "/dev/null/there"}
    Engine(study.study, study.conductor, shared, 1, on_step=lambda: None).run()
    (result,) = study.record.results()
    assert result.outcome.state == "failed"
    assert result.outcome.reason.startswith("its process ended with NotADirectoryError: ")


def test_everything_that_tune_pickles_is_harmless(driver):
    study = driver()
    study.conductor.next_pack("pack")
    given = [
        study.conductor,
        PackSearcher(study.conductor, WHOLE, 1),
        PackScheduler(study.conductor),
    ]
    copies = [cloudpickle.loads(cloudpickle.dumps(each)) for each in given]
    assert vars(copies[0]) == {}
    assert [vars(copy._conductor) for copy in copies[1:]] == [{}, {}]
    assert study.conductor.running == len(study.record.trials())
