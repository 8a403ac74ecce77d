import numpy as np

from analysis.figures.parallel_coordinates import data, draw, title
from tests.analysis.studies import importance, parameter, tables_of, trial

COMBINATION = "mlp+mean+triplet"


def study():
    rows = [trial(number=n, quality=q) for n, q in enumerate([0.5, 0.9, 0.7])]
    given = [
        one
        for row, rate, mining in zip(rows, [0.01, 1.0, 0.1], ["all", "hard", "all"], strict=True)
        for one in (
            parameter(row["key"], "training.rate", rate),
            parameter(row["key"], "loss.triplet.mining", mining),
            parameter(row["key"], "encoder.mlp.width", 64),
        )
    ]
    shares = [importance(COMBINATION, "training.rate", 1.0)]
    return data(tables_of(rows, parameters=given, importances=shares))


def test_what_differs_is_an_axis_the_most_important_first_and_the_best_is_drawn_last():
    trials = study().trials
    assert trials.columns.tolist() == ["quality", "training.rate", "loss.triplet.mining"]
    assert trials["quality"].tolist() == [0.5, 0.7, 0.9]


def test_a_line_runs_through_the_values_of_its_trial():
    ax = draw(study()).axes[0]
    lines = [segment[:, 1] for segment in ax.collections[0].get_segments()]
    # Rates lie by their logarithms, choices side by side.
    expected = [[0, 0, 0], [0.5, 0, 0.5], [1, 1, 1]]
    assert np.allclose([list(line) for line in lines], expected)


def test_the_title_counts_the_lines():
    assert title(study()) == "3 configurations of mlp+mean+triplet, coloured by quality"
