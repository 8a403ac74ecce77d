import pytest

from analysis.metric_names import beside, bound_of, in_phase, in_words, size_of


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("val/map_at_r.size5", "MAP@R of groups of 5 points"),
        ("test/recall_at_1.points", "recall@1 of points"),
        ("bound/t4_relative_gap.size10", "T4 relative gap of groups of 10 points"),
        ("bound/t1_prime_relative_gap.size2", "T1′ relative gap of groups of 2 points"),
        ("bound/t1_double_prime_tightness.size2", "T1″ tightness of groups of 2 points"),
        ("bound/t9_gap.size5", "T9 gap of groups of 5 points"),
        ("bound/best_relative_gap.size5", "best bound relative gap of groups of 5 points"),
        ("bound/m_star.size5", "margin m* of groups of 5 points"),
        ("val/something_new", "something_new"),
    ],
)
def test_a_metric_is_put_into_words(name, words):
    assert in_words(name) == words


def test_a_neighbour_has_the_same_size():
    assert beside("bound/t4_relative_gap.size5", "m_star") == "bound/m_star.size5"


@pytest.mark.parametrize(
    ("name", "bound"),
    [
        ("bound/t4_gap.size5", "t4"),
        ("bound/t6_gap.size5", "t6"),
        ("bound/best_relative_gap.size5", "best"),
        ("bound/t1_gap.size5", "t1"),
        ("bound/t1_prime_relative_gap.size5", "t1_prime"),
        ("bound/t1_double_prime_relative_gap.size5", "t1_double_prime"),
        ("bound/input_t1_prime_relative_gap.size5", "input_t1_prime"),
        ("bound/input_t4_gap.size5", "input_t4"),
    ],
)
def test_a_gap_tells_its_bound(name, bound):
    assert bound_of(name) == bound


@pytest.mark.parametrize(
    ("name", "size"), [("val/map_at_r.size12", 12), ("val/recall_at_1.points", None)]
)
def test_a_metric_tells_its_group_size(name, size):
    assert size_of(name) == size


def test_a_confirmation_answers_to_the_validation_metric():
    assert in_phase("val/map_at_r.size5", "test") == "test/map_at_r.size5"
