from analysis.figures.training_curves import data, title
from tests.analysis.studies import tables_of, trial, validation

MEAN, MAX = "mlp+mean+triplet", "mlp+max+triplet"


def learning(**qualities):
    """Trials of two combinations with these validations at epochs 1, 2, 3, ...."""
    rows = [
        trial(combination=name, number=number, quality=values[-1])
        for name, number, values in qualities.values()
    ]
    history = [
        validation(row["key"], epoch, value)
        for row, (_, _, values) in zip(rows, qualities.values(), strict=True)
        for epoch, value in enumerate(values, start=1)
    ]
    return tables_of(rows, history=history)


def test_the_curve_is_that_of_the_best_trial():
    tables = learning(worse=(MEAN, 0, [0.1, 0.2]), better=(MEAN, 1, [0.3, 0.5, 0.6]))
    curves = data(tables).curves
    assert curves.to_numpy().tolist() == [[MEAN, 1, 0.3], [MEAN, 2, 0.5], [MEAN, 3, 0.6]]


def test_other_metrics_are_left_out():
    tables = learning(only=(MEAN, 0, [0.3, 0.5]))
    tables.history.loc[0, "name"] = "train/loss"
    assert data(tables).curves["quality"].tolist() == [0.5]


def test_the_title_counts_trials_that_were_best_at_their_end():
    rising, fallen = [0.1, 0.2, 0.3, 0.4], [0.1, 0.6, 0.5, 0.4]
    tables = learning(rising=(MEAN, 0, rising), fallen=(MAX, 0, fallen))
    assert title(data(tables)).startswith("1 of 2 best trials were at their best in the last")


def test_a_study_without_validations_has_a_title():
    assert title(data(tables_of([trial()]))) == "Training of the best trials"
