import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from study import material
from study.config import DataSection, ProtocolSection
from trainables.data import digits, point_set

DIGITS = digits()


def clouds(is_test=None, groups=None):
    """Forty points of four classes."""
    labels = np.repeat(np.arange(4), 10)
    points = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    return point_set(points, labels, list("abcd"), "clouds", groups=groups, is_test=is_test)


def divided(points, seed=0, **section):
    data, problems = material.divide(DataSection(**section), seed, points)
    assert problems == []
    return data


def test_points_are_those_of_the_source():
    points, problems = material.points("digits")
    assert problems == []
    assert (points.source, points.digest) == ("digits", DIGITS.digest)


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        (None, "is missing; name a Parquet file here or with --data"),
        ("gone.parquet", "gone.parquet: there is no such file"),
        (
            "digitz",
            "digitz: is no source of points; name digits or the path of a .parquet file",
        ),
    ],
)
def test_a_source_without_points_is_a_problem_of_the_data_section(source, problem):
    assert material.points(source) == (None, [f"data.source: {problem}"])


def test_every_problem_of_a_file_is_told(tmp_path):
    path = tmp_path / "points.parquet"
    pq.write_table(pa.table({"features": [[1.0], [float("nan")]], "label": [3, 3]}), path)
    points, problems = material.points(str(path))
    assert points is None
    assert problems == [
        f"data.source: {path}: features are NaN or infinite in 1 of 2 points, the first is row 1; "
        "remove or repair them",
        f"data.source: {path}: holds one class only, 3; at least two are needed",
    ]


def test_folds_hold_out_every_point_but_the_test_points_once():
    data = divided(DIGITS, split="points", folds=3)
    held_out = np.concatenate([fold.held_out for fold in data.folds])
    assert sorted(held_out) == sorted(data.final.train)
    assert sorted([*data.final.train, *data.final.held_out]) == list(range(len(DIGITS)))
    for fold in data.folds:
        assert not set(fold.train) & set(fold.held_out)
        assert not set(fold.train) & set(data.final.held_out)


def test_data_that_cannot_be_divided_as_asked_is_a_problem():
    data, problems = material.divide(DataSection(split="official"), 0, clouds())
    assert data is None
    assert problems
    assert all(problem.startswith("data.split: ") for problem in problems)


def test_natural_groups_need_a_column_of_groups():
    data, problems = material.divide(DataSection(groups="natural"), 0, clouds())
    assert (data, problems) == (
        None,
        ["data.groups: natural needs a `group` column, the data has none; use sampled"],
    )


def test_natural_groups_are_kept_only_where_the_study_asks_for_them():
    points = clouds(groups=np.repeat(np.arange(8), 5))
    section = {"split": "points", "folds": 2}
    assert divided(points, groups="natural", **section).points.groups is not None
    assert divided(points, groups="sampled", **section).points.groups is None


def test_equal_data_divided_equally_have_equal_digests():
    first, second = (divided(digits(), split="points", folds=2) for _ in range(2))
    assert material.digests(first) == material.digests(second)


@pytest.mark.parametrize(
    ("change", "differing"),
    [
        ({"seed": 1}, {"split"}),
        ({"folds": 3}, {"split"}),
        ({"test_fraction": 0.5}, {"split"}),
        ({"points": clouds(is_test=np.arange(40) % 2 == 0)}, {"data"}),
    ],
)
def test_digests_tell_other_data_from_another_division(change, differing):
    plain = {"points": clouds(), "split": "points", "folds": 2}
    one, other = (material.digests(divided(**plain | more)) for more in ({}, change))
    assert {kind for kind in one if one[kind] != other[kind]} == differing


def test_rules_are_those_of_the_protocol_and_the_seed():
    protocol = ProtocolSection(sizes=(1, 4), draws=3, metric="recall_at_1", normalize=False)
    rules = material.rules(protocol, 7, 2)
    assert (rules.protocol.sizes, rules.protocol.draws, rules.protocol.seed) == ((1, 4), 3, 7)
    assert (rules.quality_name, rules.unit_length) == ("recall_at_1.size4", False)
    assert rules.report_every == 2
