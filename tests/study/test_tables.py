"""Records of real trials, and of trials that failed or still run, as tables."""

import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from analysis.tables import SCHEMAS
from study.tables import read_tables
from tests.study import finished_studies
from tests.study.files import finished

SEARCHED, PRUNED = "mlp+mean+triplet-0001", "mlp+mean+triplet-0000"
CONFIRMED = f"{SEARCHED}-confirm-1"
FAILED, RUNNING = "mlp+mean+triplet-0002", "mlp+mean+triplet-0003"


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """A whole study with one more trial that failed and one that runs."""
    record = finished_studies.copy(tmp_path_factory.mktemp("read"))
    result = record.result(SEARCHED)
    for number, key in [(2, FAILED), (3, RUNNING)]:
        record.plan(replace(result.trial, key=key, number=number))
    lost = replace(result.outcome, state="failed", reason="its process died", metrics={})
    record.publish(record.trial(FAILED), 0, replace(lost, history=[]))
    return record


@pytest.fixture(scope="module")
def tables(record):
    return read_tables(record)


def row(tables, key):
    return tables.trials.set_index("key").loc[key]


def values(frame, key):
    """Values of one trial by name."""
    return frame[frame["key"] == key].set_index("name")["value"].to_dict()


def test_a_study_is_named_with_what_selects_and_what_it_plans(tables):
    assert tables.name == "tiny"
    assert tables.quality_name == "val/map_at_r.size3"
    assert tables.gap_name == "bound/t4_relative_gap.size3"
    assert tables.planned_trials == 4


def test_every_planned_trial_is_a_row(record, tables):
    assert list(tables.trials["key"]) == [trial.key for trial in record.trials()]
    assert len(tables.trials) == finished_studies.TRIALS + finished_studies.TESTED + 2


@pytest.mark.parametrize(
    ("key", "state", "reason"),
    [
        (SEARCHED, "complete", ""),
        (CONFIRMED, "complete", ""),
        (PRUNED, "pruned", "pruned after epoch 1"),
        (FAILED, "failed", "its process died"),
        (RUNNING, "running", ""),
    ],
)
def test_a_trial_has_the_state_it_ended_in_and_the_reason(tables, key, state, reason):
    assert (row(tables, key)["state"], row(tables, key)["reason"]) == (state, reason)


@pytest.mark.parametrize(("key", "prefix"), [(SEARCHED, "val"), (CONFIRMED, "test")])
def test_quality_is_read_on_the_points_of_the_phase(record, tables, key, prefix):
    metrics = record.result(key).outcome.metrics
    assert row(tables, key)["quality"] == metrics[f"{prefix}/map_at_r.size3"]
    assert row(tables, key)["relative_gap"] == metrics["bound/t4_relative_gap.size3"]


@pytest.mark.parametrize("key", [FAILED, RUNNING])
def test_what_is_not_known_is_not_a_number(tables, key):
    assert np.isnan(row(tables, key)[["quality", "relative_gap"]].astype(float)).all()
    assert np.isnan(row(tables, key)["ended"]) == (key == RUNNING)


def test_a_combination_is_told_by_its_parts(tables):
    columns = ["combination", "encoder", "aggregator", "loss", "number", "seed", "proposed_by"]
    assert row(tables, SEARCHED)[columns].tolist() == [
        *("mlp+mean+triplet", "mlp", "mean", "triplet", 1, 1, "random")
    ]


def test_only_aggregators_that_stay_in_the_hull_are_covered(tmp_path):
    record = finished(tmp_path, "search.aggregator.max: {}", qualities=[0.5, 0.25])
    trials = read_tables(record).trials.set_index("aggregator")
    assert trials["coverage"].to_dict() == {"mean": "covered", "max": "uncovered"}


def test_parameters_have_flat_names_and_json_values(tables):
    found = values(tables.parameters, SEARCHED)
    assert found["encoder.mlp.hidden"] == "32"
    assert found["loss.triplet.level"] == '"groups"'
    assert json.loads(found["training.learning_rate"]) == 0.003
    assert values(tables.parameters, RUNNING) == found


def test_metrics_are_all_those_of_the_outcome(record, tables):
    for key in (SEARCHED, CONFIRMED, PRUNED):
        assert values(tables.metrics, key) == record.result(key).outcome.metrics
    assert values(tables.metrics, FAILED) == {}


def test_history_has_every_validation_by_epoch(record, tables):
    history = tables.history[tables.history["key"] == SEARCHED]
    quality = history[history["name"] == "val/map_at_r.size3"].set_index("epoch")["value"]
    validations = record.result(SEARCHED).outcome.history
    assert quality.to_dict() == {
        v["epoch"]: v["metrics"]["val/map_at_r.size3"] for v in validations
    }
    assert sorted(quality.index) == [1, 2]
    assert set(history["name"]) == {"train/loss", "val/map_at_r.size3"}


def test_bounds_are_the_rows_that_workers_wrote_for_the_best_trials(record, tables):
    found = sorted(tables.bounds["key"].unique())
    other = SEARCHED.replace("mean", "attention")
    assert found == sorted([SEARCHED, CONFIRMED, other, f"{other}-confirm-1"])
    written = pq.read_table(record.files(record.result(SEARCHED)) / "bounds.parquet").to_pandas()
    read = tables.bounds[tables.bounds["key"] == SEARCHED].reset_index(drop=True)
    assert read.drop(columns="key").equals(written[read.columns.drop("key")])
    assert set(read["size"]) == {1, 3}
    assert set(read["fold"]) == {0, 1}


def test_a_study_that_has_not_begun_has_empty_tables_with_all_columns(tmp_path):
    tables = read_tables(finished_studies.copy(tmp_path, phase="nothing"))
    assert tables.planned_trials == 4
    for name, schema in SCHEMAS.items():
        frame = getattr(tables, name)
        assert list(frame.columns) == schema.names
        assert len(frame) == 0


def test_maps_and_witnesses_are_those_of_models_on_the_test_points(tables):
    on_test = tables.trials[tables.trials["phase"].isin(["confirmation", "untrained"])]["key"]
    assert set(tables.maps["key"]) == set(tables.witnesses["key"]) == set(on_test)
    (points,) = (p for key, p in tables.witnesses.groupby("key") if key == CONFIRMED)
    assert points["role"].tolist() == ["anchor", "positive", "negative"]
    assert {len(values) for values in points["values"]} == {64}


def test_few_trials_have_no_importances(tables):
    assert tables.importances.empty


def test_tables_that_take_time_can_be_left_out(record, tables):
    short = read_tables(record, in_full=False)
    assert len(short.trials) == len(tables.trials)
    assert short.bounds.empty
    assert short.maps.empty
