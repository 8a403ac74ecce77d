"""Against a real journal file."""

import pytest
from optuna.trial import TrialState

from study.manifest import manifest
from study.proposals import Proposals, member_seeds
from study.record import Record
from study.storage import open_storage
from tests.study.files import accepted
from trainables.attempt import Attempt, Outcome

FEW = ["budget.trials_per_combination: 8", "algorithm.startup_trials: 2"]
TWO = ["protocol.objectives: [quality, relative_gap]", "algorithm.pruner: none"]


def outcome(state="complete", quality=0.5, reason=""):
    metrics = {"val/map_at_r.size2": quality, "bound/t4_relative_gap.size2": 0.25}
    return Outcome(state, reason, metrics if state == "complete" else {}, [], [], 1.0, 2.0)


class Driver:
    """What a driver has of a study with one combination; made again, it is the next driver."""

    def __init__(self, folder, *changes):
        study = accepted(folder, *FEW, *changes)
        (combination,) = study.combinations
        self.record = Record.create(folder / "small", manifest(study))
        self.journal = folder / "small" / "optuna.journal"
        self.proposals = Proposals(self.record, combination, open_storage(self.record))

    def ask(self, like=None):
        trial = self.proposals.ask(like)
        self.record.plan(trial)
        return trial

    def finish(self, trial, **values):
        result = self.record.publish(trial, 1, outcome(**values))
        self.proposals.tell(result)

    def frozen(self):
        return self.proposals._study.get_trials(deepcopy=False)


def test_a_proposal_is_durable_before_it_is_planned_and_a_report_with_those_beside_it(tmp_path):
    driver = Driver(tmp_path)
    before = driver.journal.read_bytes()
    with driver.proposals.together():
        trial = driver.ask()
        asked = driver.journal.read_bytes()
        assert len(asked) > len(before)
        driver.proposals.report(trial.key, 1, 0.5)
        assert driver.journal.read_bytes() == asked
    assert driver.journal.read_bytes().count(b"\n") == asked.count(b"\n") + 1


def test_a_storage_in_a_database_is_written_in_its_own_way(tmp_path):
    driver = Driver(tmp_path, f"storage.database: sqlite:///{tmp_path}/optuna.db")
    with driver.proposals.together():
        driver.finish(driver.ask())
    assert [trial.state for trial in driver.frozen()] == [TrialState.COMPLETE]


def test_a_proposal_is_a_trial_of_the_record(tmp_path):
    driver = Driver(tmp_path)
    trial = driver.ask()
    assert trial.key == "linear+mean+triplet-0000"
    assert (trial.phase, trial.number, trial.proposed_by) == ("search", 0, "random")
    assert len(trial.seeds) == 2
    assert trial.configuration["encoder"] == {"linear": {"width": 16}}
    assert (driver.proposals.asked, driver.proposals.running) == (1, 1)


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("complete", TrialState.COMPLETE),
        ("pruned", TrialState.PRUNED),
        ("failed", TrialState.FAIL),
    ],
)
def test_trials_are_told_as_they_ended(tmp_path, state, told):
    driver = Driver(tmp_path)
    driver.finish(driver.ask(), state=state, reason="" if state == "complete" else "a reason")
    (frozen,) = driver.frozen()
    assert frozen.state == told
    assert frozen.user_attrs == ({} if state == "complete" else {"reason": "a reason"})
    assert driver.proposals.running == 0


def test_two_objectives_are_told_together(tmp_path):
    driver = Driver(tmp_path, *TWO)
    driver.finish(driver.ask())
    assert driver.frozen()[0].values == [0.5, 0.25]


def test_the_model_proposes_after_the_first_random_trials(tmp_path):
    driver = Driver(tmp_path)
    proposers = []
    for number in range(4):
        trial = driver.ask()
        proposers.append(trial.proposed_by)
        driver.finish(trial, quality=number / 10)
    assert proposers == ["random", "random", "model", "model"]


def test_a_restarted_driver_proposes_what_the_first_would_have(tmp_path):
    configurations = []
    for restarts in (False, True):
        folder = tmp_path / str(restarts)
        folder.mkdir()
        driver = Driver(folder)
        found = []
        for number in range(5):
            driver = Driver(folder) if restarts else driver
            trial = driver.ask()
            found.append(trial.configuration)
            driver.finish(trial, quality=number / 10)
        configurations.append(found)
    assert configurations[0] == configurations[1]
    assert len({str(found) for found in configurations[0]}) == 5


@pytest.mark.parametrize("sampler", ["nsga2", "qmc", "random", "tpe"])
def test_a_trial_like_another_differs_from_it_in_real_numbers_only(tmp_path, sampler):
    width, rate = "search.encoder.linear.width", "search.training.learning_rate"
    spaces = [f"{width}: {{low: 8, high: 64}}", f"{rate}: {{low: 0.001, high: 0.01}}"]
    driver = Driver(tmp_path, f"algorithm.sampler: {sampler}", *spaces)
    widths = []
    for number in range(5):
        first = driver.ask()
        like = [driver.ask(first) for _ in range(2)]
        of_all = [trial.configuration for trial in (first, *like)]
        assert len({found["encoder"]["linear"]["width"] for found in of_all}) == 1
        assert len({found["training"]["learning_rate"] for found in of_all}) > 1
        widths.append(of_all[0]["encoder"]["linear"]["width"])
        for trial in (first, *like):
            driver.finish(trial, quality=number / 10)
    assert len(set(widths)) > 1


def test_running_trials_come_back_as_they_were(tmp_path):
    trial = Driver(tmp_path).ask()
    again = Driver(tmp_path)
    assert again.proposals.resume() == [trial]
    assert again.proposals.running == 1
    again.finish(trial)
    assert again.frozen()[0].state == TrialState.COMPLETE


def test_a_trial_that_was_asked_and_never_planned_comes_back_too(tmp_path):
    trial = Driver(tmp_path).proposals.ask()
    again = Driver(tmp_path)
    (unfinished,) = again.proposals.resume()
    assert (unfinished.key, unfinished.seeds) == (trial.key, trial.seeds)
    assert unfinished.configuration == trial.configuration
    assert again.record.trial(trial.key) == unfinished


def test_a_published_result_is_told_and_never_run_again(tmp_path):
    first = Driver(tmp_path)
    first.record.publish(first.ask(), 1, outcome(quality=0.75))
    again = Driver(tmp_path)
    assert again.proposals.resume() == []
    assert (again.frozen()[0].state, again.frozen()[0].value) == (TrialState.COMPLETE, 0.75)


def test_an_attempt_that_finished_unheard_is_published_and_told(tmp_path):
    first = Driver(tmp_path)
    trial = first.ask()
    Attempt.claim(first.record.trials_folder / trial.key).finish(outcome())
    again = Driver(tmp_path)
    assert again.proposals.resume() == []
    assert again.record.result(trial.key).attempt == 1
    assert again.frozen()[0].state == TrialState.COMPLETE


def test_trials_below_the_median_are_pruned_once_there_are_enough_to_compare(tmp_path):
    driver = Driver(tmp_path)
    pruned = []
    for quality in (0.8, 0.9, 0.1, 0.85):
        trial = driver.ask()
        pruned.append([driver.proposals.report(trial.key, epoch, quality) for epoch in (1, 2)])
        driver.finish(trial, quality=quality)
    assert pruned == [[False, False], [False, False], [True, True], [False, False]]


def test_an_epoch_is_reported_once_and_only_if_finite(tmp_path):
    driver = Driver(tmp_path)
    trial = driver.ask()
    for epoch, quality in [(1, 0.5), (1, 0.9), (2, float("nan")), (3, 0.6)]:
        driver.proposals.report(trial.key, epoch, quality)
    assert driver.frozen()[0].intermediate_values == {1: 0.5, 3: 0.6}
    again = Driver(tmp_path)
    again.proposals.resume()
    again.proposals.report(trial.key, 3, 0.1)
    assert again.frozen()[0].intermediate_values == {1: 0.5, 3: 0.6}


def test_two_objectives_are_never_pruned(tmp_path):
    driver = Driver(tmp_path, *TWO)
    trial = driver.ask()
    assert not driver.proposals.report(trial.key, 1, 0.0)
    assert driver.frozen()[0].intermediate_values == {}


def test_seeds_differ_by_study_combination_trial_and_member():
    cases = [(0, "a", 0), (1, "a", 0), (0, "b", 0), (0, "a", 1)]
    seeds = [seed for case in cases for seed in member_seeds(*case, count=3)]
    assert len(set(seeds)) == len(seeds)
    assert member_seeds(0, "a", 0, count=2) == member_seeds(0, "a", 0, count=3)[:2]
