from analysis.figures.parameter_importance import data, draw, title
from tests.analysis.studies import importance, tables_of, trial

MEAN, MAX = "mlp+mean+triplet", "mlp+max+triplet"
TRIALS = [trial(combination=MAX, quality=0.9), trial(combination=MEAN, quality=0.5)]


def of(**shares):
    rows = [importance(name, p, v) for name, given in shares.items() for p, v in given.items()]
    return data(tables_of(TRIALS, importances=rows))


def test_combinations_come_best_first_and_parameters_by_their_mean_share():
    shares = of(**{MEAN: {"a": 0.2, "b": 0.8}, MAX: {"a": 0.4, "b": 0.6}}).shares
    assert shares.index.tolist() == [MAX, MEAN]
    assert shares.columns.tolist() == ["b", "a"]
    assert shares.to_numpy().tolist() == [[0.6, 0.4], [0.8, 0.2]]


def test_a_parameter_that_a_combination_does_not_have_stays_empty():
    found = of(**{MEAN: {"a": 1.0}, MAX: {"b": 1.0}})
    assert found.shares.isna().to_numpy().sum() == 2
    texts = [text.get_text() for ax in draw(found).axes for text in ax.texts]
    assert texts == ["1.00", "1.00"]


def test_the_title_names_what_decides_most_often():
    found = of(**{MEAN: {"a": 0.2, "b": 0.8}, MAX: {"a": 0.4, "b": 0.6}})
    assert title(found) == "b decides most in 2 of 2 combinations"
