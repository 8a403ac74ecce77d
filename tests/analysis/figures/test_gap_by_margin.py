import pytest

from analysis.figures.gap_by_margin import data, title
from tests.analysis.studies import metric, tables_of, trial


def tables(gaps):
    trials = [trial(number=number, relative_gap=gap) for number, gap in enumerate(gaps)]
    metrics = [
        metric(row["key"], name, value)
        for row in trials
        for name, value in [
            ("bound/m_star.size5", row["number"] - 1.0),
            ("bound/scale.size5", 2.0),
        ]
    ]
    return tables_of(trials, metrics)


def test_the_margin_is_in_units_of_the_scale():
    assert data(tables([1.0, 2.0, 3.0])).trials["relative_m_star"].tolist() == [-0.5, 0.0, 0.5]


def test_trials_without_a_measured_margin_are_left_out():
    assert data(tables_of([trial()])).trials.empty


@pytest.mark.parametrize(
    ("gaps", "words"),
    [
        ([1.0, 2.0, 9.0], "A smaller margin m* goes with a smaller gap (ρ = 1.00, 3 trials)"),
        ([3.0, 2.0, 1.0], "A smaller margin m* goes with a larger gap (ρ = -1.00, 3 trials)"),
        ([2.0, 1.0, 2.0], "Margin m* and gap show no clear relation (ρ = 0.00, 3 trials)"),
        ([1.0, 1.0, 1.0], "Relative gap against margin m*"),
        ([1.0], "Relative gap against margin m*"),
    ],
    ids=["rising", "falling", "unrelated", "constant", "one trial"],
)
def test_the_title_says_which_way_they_go_together(gaps, words):
    assert title(data(tables(gaps))) == words
