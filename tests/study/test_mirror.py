"""What MLflow holds of a study: every run with what the record says of its trial."""

import pytest

from tests.study import finished_studies
from tests.study.finished_studies import TESTED, TRIALS
from tests.study.mlflow_contents import artifacts, database, history, runs

SEARCHED = "mlp+mean+triplet-0001"
PRUNED = "mlp+mean+triplet-0000"
CONFIRMED = f"{SEARCHED}-confirm-1"


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """A whole study, brought to MLflow."""
    from study.sync import sync

    record = finished_studies.copy(tmp_path_factory.mktemp("mirrored"))
    sync(record, None)
    return record


def test_confirmations_hang_below_trials_and_trials_below_the_study(record):
    found = runs(database(record))
    above = {name: run.data.tags.get("mlflow.parentRunId") for name, run in found.items()}
    assert len(found) == 1 + TRIALS + TESTED
    assert [name for name, run_id in above.items() if run_id is None] == ["tiny"]
    below_study = [name for name in above if above[name] == found["tiny"].info.run_id]
    assert len(below_study) == TRIALS + 1
    assert "identity+mean+untrained" in below_study
    for name in (CONFIRMED, f"{SEARCHED}-ensemble", f"{SEARCHED}-untrained-1"):
        assert above[name] == found[SEARCHED].info.run_id


def test_a_run_holds_configuration_metrics_and_times_of_its_trial(record):
    from trainables.configuration import Configuration

    run, result = runs(database(record))[SEARCHED], record.result(SEARCHED)
    flat = Configuration.from_nested(result.trial.configuration).flat()
    assert run.data.params.keys() == flat.keys()
    assert float(run.data.params["training.learning_rate"]) == 0.003
    assert run.data.metrics == result.outcome.metrics
    assert {name.split("/")[0] for name in run.data.metrics} == {"train", "val", "bound"}
    assert run.info.start_time == round(1000 * result.outcome.started)
    assert run.info.end_time == round(1000 * result.outcome.ended)


def test_a_run_holds_one_point_for_each_validation(record):
    run, outcome = runs(database(record))[SEARCHED], record.result(SEARCHED).outcome
    quality = "val/map_at_r.size3"
    points = [point for point in history(database(record), run) if point[0] == quality]
    assert points == [
        (quality, entry["epoch"], round(1000 * entry["time"]), entry["metrics"][quality])
        for entry in outcome.history
    ]


def test_tags_tell_how_a_trial_ended(record):
    tags = runs(database(record))[PRUNED].data.tags
    wanted = {
        "combination": "mlp+mean+triplet",
        "encoder": "mlp",
        "aggregator": "mean",
        "loss": "triplet",
        "phase": "search",
        "state": "pruned",
        "reason": "pruned after epoch 1",
        "proposed_by": "random",
        "attempt": "1",
    }
    assert wanted.items() <= tags.items()


def test_the_data_is_named_by_its_digest(record):
    (given,) = runs(database(record))[CONFIRMED].inputs.dataset_inputs
    assert given.dataset.name == "digits"
    assert record.manifest["digests"]["data"].startswith(given.dataset.digest)
    assert given.tags[0].value == "confirmation"


def test_complete_trials_have_weights_bounds_and_a_picture(record):
    found = runs(database(record))
    kept = artifacts(database(record), found[SEARCHED])
    assert sorted(kept) == ["bound_gap.png", "bounds.parquet", "weights.safetensors"]
    weights = record.files(record.result(SEARCHED)) / "weights.safetensors"
    assert kept["weights.safetensors"] == weights.stat().st_size
    assert artifacts(database(record), found[PRUNED]) == {}


def test_the_study_has_its_counts_its_best_and_its_manifest(record):
    run = runs(database(record))["tiny"]
    assert run.info.status == "FINISHED"
    assert {"planned": "4", "done": "4", "pruned": "2"}.items() <= run.data.tags.items()
    qualities = [
        record.result(f"{name}-0001").outcome.metrics["val/map_at_r.size3"]
        for name in ("mlp+mean+triplet", "mlp+attention+triplet")
    ]
    assert run.data.metrics["val/map_at_r.size3"] == max(qualities)
    assert run.data.metrics["val/map_at_r.size3/mlp mean triplet"] == qualities[0]
    assert list(artifacts(database(record), run)) == ["study.json"]


def test_the_study_carries_its_report_once_it_has_one(tmp_path):
    from study import report
    from study.sync import sync

    record = finished_studies.copy(tmp_path)
    page = report.write(record)
    sync(record, None)
    run = runs(database(record))["tiny"]
    kept = artifacts(database(record), run, "report")
    assert kept["report/report.html"] == page.stat().st_size
    assert {"report/figures", "report/tables"} < kept.keys()
    assert "report/tables/leaderboard.tex" in artifacts(database(record), run, "report/tables")


def test_a_failed_trial_is_failed_with_its_reason(tmp_path):
    from study.sync import sync
    from trainables.attempt import Outcome

    record = finished_studies.copy(tmp_path, phase="search")
    lost = Outcome("failed", "its process died", {}, [], [], 1000.0, 1001.0)
    record.publish(record.trial(PRUNED), 0, lost)
    sync(record, None)
    run = runs(database(record))[PRUNED]
    assert run.info.status == "FAILED"
    assert run.data.tags["reason"] == "its process died"
