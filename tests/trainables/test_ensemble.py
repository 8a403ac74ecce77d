"""Models of several folds read as one, on points that none of them has seen."""

import pytest
import torch
from safetensors.torch import load

from tests.trainables.trials import RULES, study_of, task_of
from trainables.aggregation import aggregated
from trainables.aggregators.max import MaxAggregator
from trainables.aggregators.mean import MeanAggregator
from trainables.ensemble import Concatenated, models_of
from trainables.evaluation import evaluate
from trainables.recorded import RecordedTrial
from trainables.tasks import TrialTask
from trainables.training import TrialRun


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A trial of two folds that was searched, in a folder of trials."""
    folder = tmp_path_factory.mktemp("trials")
    recorded = RecordedTrial(task_of("found"), study_of(), RULES, folder)
    while recorded.outcome is None:
        recorded.step()
    return folder, recorded.attempt.folder / "weights.safetensors"


def ensemble(weights):
    task = task_of("found-ensemble", phase="ensemble")
    return TrialTask(task.key, task.phase, task.configuration, task.seeds, weights)


def test_aggregators_side_by_side_see_their_own_share():
    members = torch.randn(5, 3, 7)
    together = aggregated(Concatenated([MeanAggregator(3), MaxAggregator(4)]), members)
    expected = torch.cat([members[:, :, :3].mean(1), members[:, :, 3:].amax(1)], dim=1)
    torch.testing.assert_close(together, expected)


def test_an_ensemble_is_judged_at_once_on_the_test_points(searched):
    folder, weights = searched
    task = ensemble(str(weights.relative_to(folder)))
    recorded = RecordedTrial(task, study_of(), RULES, folder)
    recorded.step()
    metrics = recorded.outcome.metrics
    assert recorded.outcome.state == "complete"
    assert recorded.outcome.history == []
    assert {path.name for path in recorded.attempt.folder.iterdir()} == {
        "bounds.parquet",
        "outcome.json",
    }
    singles = [member["test/map_at_r.size1"] for member in recorded.outcome.member_metrics]
    assert len(singles) == 2
    assert metrics["test/map_at_r.size1"] == pytest.approx(sum(singles) / 2)
    assert metrics["concatenated/map_at_r.size1"] not in singles


def test_its_figures_are_those_of_the_models_that_were_trained(searched):
    study, (_, path) = study_of(), searched
    weights = load(path.read_bytes())
    run = TrialRun(ensemble("read by the caller"), study, RULES, weights)
    metrics = run.run().metrics
    models = models_of(run.configuration, study.points.shape, True, weights)
    rows = study.final.held_out
    embeddings = [model.embed_all(study.points.take(rows)) for model in models]
    found = evaluate(
        torch.cat(embeddings, dim=1),
        torch.tensor(study.points.labels[rows]),
        None,
        Concatenated([model.aggregator for model in models]),
        RULES.protocol,
    )
    assert {f"concatenated/{name}": found.quality[name] for name in found.quality}.items() <= (
        metrics.items()
    )


def test_a_lost_file_of_weights_fails_the_ensemble_alone(tmp_path):
    recorded = RecordedTrial(ensemble("gone.safetensors"), study_of(), RULES, tmp_path)
    assert recorded.outcome.state == "failed"
    assert recorded.outcome.reason.startswith("FileNotFoundError: ")
