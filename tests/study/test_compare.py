import pytest

from study.compare import compare
from study.errors import RecordError
from tests.study.files import finished

TWO = "search.aggregator.max: {}"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("studies")
    finished(folder, "name: one", TWO, qualities=[0.25, 0.75])
    finished(folder, "name: two", qualities=[0.9])
    finished(folder, "name: small", "protocol.size: 1", qualities=[0.9])
    return folder


def test_studies_stand_side_by_side_best_combination_first(root):
    assert compare(root, ["one", "two"]).splitlines() == [
        "combination          one/quality  one/gap  two/quality  two/gap",
        "linear+mean+triplet       0.2500   0.5000       0.9000   0.5000",
        "linear+max+triplet        0.7500   0.5000            -        -",
        "(quality: val/map_at_r.size2; gap: bound/t4_relative_gap.size2)",
    ]


def test_studies_that_select_by_different_metrics_are_shown_with_a_warning(root):
    text = compare(root, ["one", "small"])
    assert text.splitlines()[-5:] == [
        "compare down the columns, not across: the studies do not use the same metrics",
        "  val/map_at_r.size2: one",
        "  val/map_at_r.size1: small",
        "  bound/t4_relative_gap.size2: one",
        "  bound/t4_relative_gap.size1: small",
    ]


@pytest.mark.parametrize("names", [["one"], ["one", "one"]])
def test_fewer_than_two_studies_are_refused(root, names):
    with pytest.raises(RecordError) as caught:
        compare(root, names)
    assert caught.value.problems == [f"needs two different studies, got {', '.join(names)}"]


def test_every_unknown_name_is_told_at_once(root):
    with pytest.raises(RecordError) as caught:
        compare(root, ["onne", "two", "smal"])
    assert caught.value.problems == [
        "onne: holds no study; did you mean one?",
        "smal: holds no study; did you mean small?",
    ]
