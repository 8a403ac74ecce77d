from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from study.check import prepare
from study.errors import ConfigError
from tests.study.files import accepted, refused, written

FEATURES = [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]


def parquet(folder, **columns):
    path = folder / "points.parquet"
    pq.write_table(pa.table(columns), path)
    return path


@pytest.mark.parametrize(
    ("columns", "problems"),
    [
        (
            {"features": FEATURES, "label": ["a", "a", "a"]},
            ["holds one class only, a; at least two are needed"],
        ),
        (
            {"features": [[0.0, 1.0], [float("nan"), 3.0], [4.0, float("inf")]], "label": [*"aba"]},
            [
                "features are NaN or infinite in 2 of 3 points, the first is row 1; remove or "
                "repair them"
            ],
        ),
        (
            {"features": pa.array([], pa.list_(pa.float32())), "label": pa.array([], pa.string())},
            ["holds no points; points of at least two classes are needed"],
        ),
        (
            {"feature": FEATURES, "lable": ["a", "b", "a"]},
            [
                "column features or image is missing; did you mean features by feature?",
                "column label is missing; did you mean label by lable?",
            ],
        ),
        ({"features": FEATURES}, ["column label is missing; the columns are features"]),
        (
            {"features": FEATURES, "label": ["a", None, "b"]},
            ["column label is null in 1 of 3 rows, the first is row 1; fill or remove them"],
        ),
    ],
)
def test_every_problem_of_the_data_is_told_before_anything_starts(tmp_path, columns, problems):
    path = parquet(tmp_path, **columns)
    found = refused(tmp_path, f"data.source: {path}")
    assert found == [f"data.source: {path}: {problem}" for problem in problems]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (["data.source: missing.parquet"], "data.source: missing.parquet: there is no such file"),
        (
            ["data.source: digit"],
            "data.source: digit: is no source of points; name digits or the path of a .parquet "
            "file",
        ),
        (
            ["data.split: official"],
            "data.split: the data has no official split; divide it by classes or by points",
        ),
        (
            ["data.groups: natural"],
            "data.groups: natural needs a `group` column, the data has none; use sampled",
        ),
        (
            ["data.split: classes", "data.folds: 20"],
            "data.split: 40 classes are needed, two for each of 20 folds, got 8; divide by points "
            "or use fewer folds",
        ),
        (
            ["data.test_fraction: 1e-9"],
            "data.split: the held-out part would have points of 0 classes, at least two are "
            "needed; change the share held out, the number of folds or the kind of split",
        ),
    ],
)
def test_data_that_cannot_be_divided_as_asked_is_refused(tmp_path, changes, problem):
    assert refused(tmp_path, *changes) == [problem]


def test_text_that_is_no_parquet_file_is_refused(tmp_path):
    path = tmp_path / "points.parquet"
    path.write_text("features,label\n1,a\n")
    (problem,) = refused(tmp_path, f"data.source: {path}")
    assert problem.startswith(f"data.source: {path}: cannot be read as Parquet: ")


@pytest.mark.parametrize(
    "changes", [[], ["-data.source"], ["-data"], ["data.source: missing.parquet"]]
)
def test_the_command_line_may_name_the_source(tmp_path, changes):
    sampled = ["search.training.classes_per_batch: 2", "protocol.sizes: [1]"]
    study = accepted(tmp_path, *changes, *sampled, source="digits")
    assert study.config.data.source == "digits"
    assert len(study.data.points) == 1797


def test_storage_that_cannot_hold_studies_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "small").write_text("")
    root = tmp_path / "file" / "studies"
    for place, reason in [
        (root, f"{tmp_path}/file is not a folder"),
        (Path("/proc/studies"), "/proc is not writable"),
        (tmp_path, f"{tmp_path}/small is not a folder"),
    ]:
        problem = f"--root {place}: cannot hold studies; {reason}"
        assert refused(tmp_path, root=place) == [problem]


def test_checking_creates_nothing(tmp_path):
    accepted(tmp_path, root=tmp_path / "deep" / "studies")
    assert [path.name for path in tmp_path.iterdir()] == ["study.yaml"]


def test_one_mistake_hides_no_other(tmp_path):
    changes = [
        "name: ../x",
        "data.source: missing.parquet",
        "data.folds: 0",
        "search.encoder: [linear]",
        "search.loss.tripplet: {}",
        "search.loss.triplet.margin: {low: 1, high: 0.1}",
        "search.training.epoch: 3",
        "budget.packs: 2",
        "algorithm.sampler: bayes",
        "protocol.size: 7",
        "tracking.uri: localhost",
    ]
    assert refused(tmp_path, *changes, root=Path("/proc/studies")) == [
        "name: must be 1 to 63 letters, digits, `.`, `-` or `_`, beginning with a letter, a digit "
        "or `_`, got '../x'",
        "data.folds: must be at least 1, got 0",
        "search.encoder: must be a section of keys, got ['linear']",
        "budget.packs: no such key; did you mean pack?",
        "algorithm.sampler: must be one of cmaes, gp, nsga2, qmc, random, tpe, got 'bayes'",
        "search.loss.tripplet: no such loss; did you mean triplet?",
        "search.loss.triplet.margin: low must not exceed high, got 1 > 0.1",
        "search.training.epoch: no such option; did you mean epochs?",
        "protocol.size: must be one of sizes [1, 2], got 7",
        "tracking.uri: no address MLflow can track to, got 'localhost'; use http(s)://HOST:PORT, "
        "sqlite:///FILE or postgresql://HOST/NAME",
        "--root /proc/studies: cannot hold studies; /proc is not writable",
        "data.source: missing.parquet: there is no such file",
    ]


def test_rules_across_sections_are_judged_beside_mistakes_in_others(tmp_path):
    assert refused(
        tmp_path,
        "seed: x",
        "budget.pack: 0",
        "search.aggregator.attention: {}",
        "search.loss.triplet.level: points",
        "search.encoder.linear.wdth: 3",
        "protocol.objectives: [quality, relative_gap]",
    ) == [
        "seed: must be an integer, got 'x'",
        "budget.pack: must be at least 1, got 0",
        "search.encoder.linear.wdth: no such option; did you mean width?",
        "algorithm.pruner: two objectives cannot be pruned; say `pruner: none`",
        "search.loss.triplet.level: aggregator attention cannot learn from a loss on points only; "
        "use groups or both",
    ]


def test_a_wrong_group_size_is_not_also_called_too_large(tmp_path):
    assert refused(tmp_path, "search.training.grup_size: 3", "-search.training.group_size") == [
        "search.training.grup_size: no such option; did you mean group_size?"
    ]


def test_planned_trials_are_those_of_the_search_and_those_read_on_the_test(tmp_path):
    study = accepted(
        tmp_path,
        "search.encoder.mlp: {width: 16}",
        "budget.trials_per_combination: 3",
        "protocol.confirmation: {top: 5, seeds: 2}",
    )
    confirmed, ensembles, untrained, raw = 3 * 2, 3, 2, 1
    assert study.planned_trials == 2 * (3 + confirmed + ensembles + untrained) + raw


def test_control_characters_of_a_file_never_reach_the_terminal(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(written()[:-1] + r', "\e[31m\n": 1}')
    with pytest.raises(ConfigError) as caught:
        prepare(path, tmp_path)
    assert str(caught.value).isprintable()
    assert r"\x1b[31m\n: no such key" in str(caught.value)


def test_points_are_those_of_the_file(tmp_path):
    labels = np.repeat([*"abcd"], 20)
    features = np.random.default_rng(0).normal(size=(80, 3)).tolist()
    path = parquet(tmp_path, features=features, label=labels)
    study = accepted(tmp_path, f"data.source: {path}", "search.training.classes_per_batch: 4")
    assert study.data.points.shape == (3,)
    assert len(study.data.folds) == 2
