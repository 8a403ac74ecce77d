import pytest
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from study.describe import describe
from study.ranges import in_words
from tests.study.files import accepted


@pytest.mark.parametrize(
    ("space", "words"),
    [
        (FloatDistribution(0.05, 0.5), "0.05 to 0.5"),
        (FloatDistribution(0.05, 0.5, log=True), "0.05 to 0.5, logarithmic"),
        (FloatDistribution(0.0, 0.5, step=0.25), "0.0 to 0.5 in steps of 0.25"),
        (IntDistribution(1, 4), "1 to 4"),
        (IntDistribution(2, 8, step=2), "2 to 8 in steps of 2"),
        (IntDistribution(1, 64, log=True), "1 to 64, logarithmic"),
        (CategoricalDistribution(["groups", "both"]), "one of groups, both"),
        (CategoricalDistribution([16, 32]), "one of 16, 32"),
    ],
)
def test_a_space_is_told_in_words(space, words):
    assert in_words(space) == words


def test_a_study_is_described_before_it_runs(tmp_path):
    study = accepted(
        tmp_path,
        "search.aggregator: {mean: {}, max: {}}",
        "search.encoder: {linear: {width: [16, 32]}}",
        "search.loss: {triplet: {level: groups, mining: all, margin: {low: 0.1, high: 0.2}}}",
        "budget.trials_per_combination: 5",
    )
    told = describe(study)
    data, mean, largest = told.split("\n\n")
    locked = len(study.data.final.held_out)
    folds = [f"{len(fold.train)}+{len(fold.held_out)}" for fold in study.data.folds]
    assert data.splitlines() == [
        "study small: 2 combinations x 5 trials, 17 with those that are read on the test",
        f"data: digits, 1797 points of shape (64,), 10 classes; {locked} locked away for the test",
        f"folds (train+validation): {folds[0]}, {folds[1]}",
    ]
    assert mean.splitlines()[:3] == [
        "linear+mean+triplet",
        "  encoder.linear.width: one of 16, 32",
        "  loss.triplet.margin: 0.1 to 0.2",
    ]
    assert "  loss.triplet.mining = all" in mean.splitlines()
    assert "  training.epochs = 1" in mean.splitlines()
    assert largest == mean.replace("mean", "max")
