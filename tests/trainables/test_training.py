from dataclasses import replace
from statistics import fmean

import numpy as np
import pytest
import torch

from tests.trainables.trials import RULES, VIEWED, clouds, same, study_of, task_of, timeless
from trainables.aggregators.mean import MeanAggregator
from trainables.data import point_set
from trainables.evaluation import evaluate
from trainables.member import Member, TrainingError
from trainables.splits import LeakError
from trainables.training import TrialRun

KINDS = {"triplet": {}, "views": VIEWED}


def run_of(*arguments, rules=RULES, study=None, **options):
    return TrialRun(task_of(*arguments, **options), study or study_of(), rules)


@pytest.fixture(scope="module")
def finished():
    run = run_of()
    run.run()
    return run


READ_FROM_INPUTS = ("bound/lipschitz", "bound/input_t1_prime.size2", "bound/input_violations")


@pytest.mark.parametrize(
    ("unit_length", "aggregator", "expected"),
    [
        (False, "mean", READ_FROM_INPUTS),
        (False, "max", READ_FROM_INPUTS[:1]),
        (True, "mean", ()),
    ],
)
def test_bounds_are_read_from_the_inputs_where_the_constant_is_known(
    unit_length, aggregator, expected
):
    changes = {
        "encoder": {"lipschitz-mlp": {"width": 6, "hidden": 8, "bound": 2.0}},
        "aggregator": {aggregator: {}},
        "loss": {"triplet": {"level": "points"}},
    }
    run = run_of("a", changes, rules=replace(RULES, unit_length=unit_length))
    metrics = run.run().metrics
    assert tuple(name for name in READ_FROM_INPUTS if name in metrics) == expected
    if expected:
        assert 0 < metrics["bound/lipschitz"] <= 2.0
    if len(expected) > 1:
        assert metrics["bound/input_violations"] == 0
        assert metrics["bound/input_t1_prime.size2"] >= metrics["bound/t1_prime.size2"]


def test_a_finished_trial_is_complete_with_every_metric(finished):
    outcome, metrics = finished.outcome, finished.outcome.metrics
    assert (outcome.state, outcome.reason) == ("complete", "")
    assert {"train/loss", "val/map_at_r.size2", "val/auc.points", "bound/covered"} <= set(metrics)
    assert all(isinstance(value, float) for value in metrics.values())
    assert outcome.started < outcome.ended
    assert outcome.execution == {
        "device": "cpu",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "pack": 1,
    }


def test_metrics_are_means_over_the_folds(finished):
    metrics, of_members = finished.outcome.metrics, finished.outcome.member_metrics
    assert len(of_members) == 2
    for name in of_members[0]:
        assert metrics[name] == fmean(member[name] for member in of_members)


def test_metrics_are_those_of_an_evaluation_of_each_folds_held_out_points(finished):
    study = study_of()
    for model, split, metrics in zip(
        finished.models, study.folds, finished.outcome.member_metrics, strict=True
    ):
        held_out = (
            study.points.take(split.held_out),
            torch.tensor(study.points.labels[split.held_out]),
        )
        embeddings = model.embed_all(held_out[0])
        found = evaluate(embeddings, held_out[1], None, model.aggregator, RULES.protocol)
        assert metrics == {
            **{f"val/{name}": value for name, value in found.quality.items()},
            **{f"bound/{name}": value for name, value in found.bound.items()},
        }


def test_validations_come_at_their_epochs_and_at_the_end(finished):
    history = finished.outcome.history
    assert [validation["epoch"] for validation in history] == [2, 4, 5]
    assert all(set(v["metrics"]) == {"train/loss", "val/map_at_r.size2"} for v in history)
    times = [validation["time"] for validation in history]
    assert times == sorted(times)


def test_the_last_validation_is_the_final_quality(finished):
    last = finished.outcome.history[-1]["metrics"]
    assert last == {name: finished.outcome.metrics[name] for name in last}
    assert finished.quality == last["val/map_at_r.size2"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_trial_repeats_itself(kind):
    one, other = run_of("a", KINDS[kind]), run_of("a", KINDS[kind])
    assert timeless(one.run()) == timeless(other.run())


def test_a_trial_repeats_itself_whatever_else_runs(finished):
    run, other = run_of(), run_of(seeds=(7, 8))
    while run.outcome is None:
        other.advance()
        torch.rand(3)
        run.advance()
    assert timeless(run.outcome) == timeless(finished.outcome)


def test_other_seeds_give_another_result(finished):
    assert run_of(seeds=(3, 4)).run().metrics != finished.outcome.metrics


def test_members_are_trained_as_they_would_be_alone(finished):
    study = study_of()
    for model, split, seed in zip(finished.models, study.folds, (1, 2), strict=True):
        alone = Member(finished.configuration, study.points, split.train, seed, True)
        for _ in range(5):
            alone.train_epoch()
        assert same(dict(alone.model.state_dict()), dict(model.state_dict()))


def test_how_often_a_trial_is_validated_does_not_change_its_result(finished):
    often = run_of(rules=replace(RULES, report_every=1)).run()
    assert [validation["epoch"] for validation in often.history] == [1, 2, 3, 4, 5]
    once = run_of(rules=replace(RULES, report_every=9)).run()
    assert [validation["epoch"] for validation in once.history] == [5]
    quality = {name: v for name, v in finished.outcome.metrics.items() if name != "train/loss"}
    for outcome in (often, once):
        assert {name: v for name, v in outcome.metrics.items() if name != "train/loss"} == quality


def test_folds_advance_in_lock_step():
    run = run_of()
    assert run.epochs == 0
    assert np.isnan(run.quality)
    for epoch in (2, 4, 5):
        assert run.outcome is None
        run.advance()
        assert run.epochs == epoch
        assert [member["epochs"] for member in run.state()["members"]] == [epoch] * 2
        assert 0 <= run.quality <= 1


def test_a_confirmation_is_judged_on_the_test_rows():
    study = study_of()
    run = run_of(phase="confirmation", seeds=(5,), study=study)
    metrics = run.run().metrics
    assert run.splits == (study.final,)
    assert "test/map_at_r.size2" in metrics
    assert not [name for name in metrics if name.startswith("val/")]


def test_a_search_never_looks_at_the_test_class(finished):
    study = study_of()
    spoiled = study.points.points.copy()
    spoiled[study.points.labels == 6] = np.nan
    seen = replace(study, points=replace(study.points, points=spoiled))
    assert timeless(run_of(study=seen).run()) == timeless(finished.outcome)


@pytest.mark.parametrize(("phase", "seeds"), [("search", (1,)), ("confirmation", (1, 2))])
def test_every_member_has_a_seed_of_its_own(phase, seeds):
    with pytest.raises(ValueError, match="zip"):
        run_of(phase=phase, seeds=seeds)


def test_a_stopped_trial_is_judged_as_it_stands():
    run = run_of()
    run.advance()
    run.stop("pruned", "pruned after epoch 2")
    outcome = run.outcome
    assert (outcome.state, outcome.reason) == ("pruned", "pruned after epoch 2")
    assert outcome.metrics.items() >= outcome.history[-1]["metrics"].items()
    assert outcome.metrics["bound/violations"] == 0
    assert [validation["epoch"] for validation in outcome.history] == [2]
    assert len(outcome.member_metrics) == len(run.models)


def test_a_trial_stopped_before_its_first_validation_has_no_history():
    run = run_of()
    run.stop("pruned", "not wanted")
    assert run.outcome.history == []
    assert {name.split("/")[0] for name in run.outcome.metrics} == {"val", "bound"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_restored_trial_ends_as_an_uninterrupted_one(kind):
    uninterrupted = run_of("a", KINDS[kind]).run()
    first = run_of("a", KINDS[kind])
    first.advance()
    second = run_of("a", KINDS[kind])
    second.restore(first.state())
    assert (second.epochs, second.quality) == (first.epochs, first.quality)
    assert timeless(second.run()) == timeless(uninterrupted)
    assert second.outcome.started == first.state()["started"]


def test_a_loss_that_is_not_a_number_is_an_error():
    with pytest.raises(TrainingError, match=r"^the loss became nan in epoch 1$"):
        run_of(learning_rate=1e38).run()


def test_embeddings_that_are_not_finite_are_an_error():
    # All in one step: the loss before it is finite, and the weights after it are too large.
    run = run_of(epochs=1, learning_rate=1e38, group_size=7)
    with pytest.raises(TrainingError, match=r"^embeddings are not finite$"):
        run.run()


def test_embeddings_that_coincide_are_an_error():
    points = clouds()
    alike = point_set(np.ones_like(points.points), points.labels, points.classes, "alike")
    with pytest.raises(TrainingError, match=r"^collapsed: different classes are \d\.\de\S+ apart$"):
        run_of(study=study_of(alike)).run()


def test_the_order_of_the_folds_does_not_matter(finished):
    study = study_of()
    turned = replace(study, folds=study.folds[::-1])
    outcome = TrialRun(task_of(seeds=(2, 1)), turned, RULES).run()
    assert outcome.member_metrics == finished.outcome.member_metrics[::-1]


def test_what_is_untrained_is_judged_at_once_as_its_training_would_begin():
    study, seed = study_of(), 7
    run = run_of(phase="untrained", seeds=(seed,), study=study)
    outcome = run.run()
    assert (outcome.state, outcome.history, run.epochs) == ("complete", [], 0)
    member = Member(run.configuration, study.points, study.final.train, seed, True)
    begun, untrained = member.model.state_dict(), run.models[0].state_dict()
    assert begun.keys() == untrained.keys()
    assert all(torch.equal(begun[name], untrained[name]) for name in begun)
    assert "train/loss" not in outcome.metrics
    assert "test/map_at_r.size2" in outcome.metrics


def test_raw_points_are_judged_without_any_model():
    changes = {"encoder": {"identity": {}}, "aggregator": {"mean": {}}, "loss": {"untrained": {}}}
    study = study_of()
    rules = replace(RULES, unit_length=False)
    metrics = run_of("raw", changes, "untrained", (0,), rules=rules, study=study).run().metrics
    rows = study.final.held_out
    points, labels = study.points.take(rows), torch.tensor(study.points.labels[rows])
    found = evaluate(points, labels, None, MeanAggregator(points.shape[1]), rules.protocol)
    assert metrics["test/map_at_r.size2"] == found.quality["map_at_r.size2"]


def test_a_search_is_the_same_whatever_the_test_points_are():
    study = study_of()
    labels, names = study.points.labels, study.points.classes
    changed = np.array(study.points.points)
    changed[study.final.held_out] = 1e6
    other = replace(study, points=point_set(changed, labels, names, "changed"))
    assert timeless(run_of(study=study).run()) == timeless(run_of(study=other).run())
    changed[study.folds[0].held_out[0]] = 1e6
    other = replace(study, points=point_set(changed, labels, names, "changed"))
    assert timeless(run_of(study=study).run()) != timeless(run_of(study=other).run())


@pytest.mark.parametrize("side", ["train", "held_out"])
def test_a_search_that_would_read_a_test_point_is_refused(side):
    study = study_of()
    fold = study.folds[0]
    planted = np.append(getattr(fold, side), study.final.held_out[:1])
    folds = (study.folds[1], replace(fold, **{side: planted}))
    with pytest.raises(LeakError, match="share 1 points$"):
        replace(study, folds=folds)
