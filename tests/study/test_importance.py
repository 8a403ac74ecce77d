"""Parameters that decide quality are told from those that do not."""

import pytest
from optuna.trial import FixedTrial

from study.importance import LEAST_TRIALS, importances
from study.record import Result, Trial
from tests.study.files import accepted
from trainables.attempt import Outcome

RATE, HIDDEN = "training.learning_rate", "encoder.mlp.hidden"
SEARCHED = [
    "-search.encoder.linear",
    "search.encoder.mlp.width: 16",
    "search.encoder.mlp.depth: 1",
    "search.encoder.mlp.dropout: 0.0",
    "search.encoder.mlp.hidden: [32, 64]",
    "search.loss.triplet: {level: groups, mining: all, margin: 0.1}",
    "search.training.learning_rate: {low: 0.001, high: 0.1, log: true}",
]
FIXED = ["search.encoder.mlp.hidden: 32", "search.training.learning_rate: 0.01"]


def results_of(study, count):
    """Complete trials whose quality grows with the learning rate and depends on nothing else."""
    (combination,) = study.combinations
    quality = f"val/{study.config.protocol.quality_name}"
    for number in range(count):
        values = {RATE: 0.001 * 100 ** (number / count), HIDDEN: (32, 64)[number % 2]}
        configuration = combination.propose(FixedTrial(values)).nested()
        key = f"{combination.label}-{number:04d}"
        trial = Trial(key, "search", combination.label, number, (1, 2), configuration, "random")
        metrics = {quality: number / count}
        yield Result(trial, 1, Outcome("complete", "", metrics, [], [], 0.0, 1.0))


def test_what_quality_depends_on_has_the_largest_share(tmp_path):
    study = accepted(tmp_path, *SEARCHED)
    rows = importances(study.config, list(results_of(study, 40)))
    assert {row["combination"] for row in rows} == {"mlp+mean+triplet"}
    shares = {row["name"]: row["importance"] for row in rows}
    assert set(shares) == {RATE, HIDDEN}
    assert sum(shares.values()) == pytest.approx(1)
    assert shares[RATE] > 0.9


def test_too_few_trials_say_nothing(tmp_path):
    study = accepted(tmp_path, *SEARCHED)
    results = list(results_of(study, LEAST_TRIALS))
    assert importances(study.config, results[1:]) == []
    assert importances(study.config, results) != []


def test_a_study_that_searches_nothing_has_no_importances(tmp_path):
    study = accepted(tmp_path, *SEARCHED, *FIXED)
    (combination,) = study.combinations
    assert combination.distributions() == {}
    configuration = combination.propose(FixedTrial({})).nested()
    trials = [
        Trial(f"t-{n}", "search", combination.label, n, (1, 2), configuration, "random")
        for n in range(20)
    ]
    quality = f"val/{study.config.protocol.quality_name}"
    done = Outcome("complete", "", {quality: 0.5}, [], [], 0.0, 1.0)
    assert importances(study.config, [Result(trial, 1, done) for trial in trials]) == []


def test_values_outside_of_the_space_are_left_out(tmp_path):
    study = accepted(tmp_path, *SEARCHED)
    results = list(results_of(study, 40))
    for result in results[::4]:
        result.trial.configuration["training"]["learning_rate"] = 0.5
    shares = {row["name"]: row["importance"] for row in importances(study.config, results)}
    assert sum(shares.values()) == pytest.approx(1)
