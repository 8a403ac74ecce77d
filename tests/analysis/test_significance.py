import gc

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest, t

from analysis.seeds_needed import seeds_needed
from analysis.significance import are_different, obstacle, pairs, repeated_qualities
from tests.analysis.studies import confirmed, metric, tables_of, trial
from tests.level import everything

MEAN, MAX, SUM = "mlp+mean+triplet", "mlp+max+triplet", "mlp+sum+triplet"
NAN = float("nan")


def test_qualities_are_those_of_the_confirmed_best_trial_by_repeat():
    tables = confirmed({MEAN: [0.5, 0.75], MAX: [0.875, NAN, 0.75]})
    qualities = repeated_qualities(tables)
    assert list(qualities.columns) == [MAX, MEAN]
    assert qualities.index.tolist() == [1, 2, 3]
    np.testing.assert_equal(qualities.to_numpy(), [[0.875, 0.5], [NAN, 0.75], [0.75, NAN]])


def test_confirmations_of_other_trials_and_failed_ones_do_not_count():
    searched = [trial(number=0, quality=0.9), trial(number=1, quality=0.8)]
    runs = [
        trial(phase="confirmation", number=0, seed=1),
        trial(phase="confirmation", number=0, seed=2, state="failed"),
        trial(phase="confirmation", number=1, seed=1),
    ]
    metrics = [metric(row["key"], "test/map_at_r.size5", 0.7) for row in runs]
    assert repeated_qualities(tables_of(searched + runs, metrics)).to_numpy().tolist() == [[0.7]]


def test_a_difference_is_students_over_the_pairs():
    row = pairs(pd.DataFrame({"a": [0.5, 0.7, 0.9], "b": [0.4, 0.5, 0.6]})).iloc[0]
    assert (row["higher"], row["lower"], row["n"]) == ("a", "b", 3)
    # Differences 0.1, 0.2, 0.3: mean 0.2, deviation 0.1.
    half = t(2).ppf(0.975) * 0.1 / 3**0.5
    assert row[["difference", "difference_low", "difference_high"]].tolist() == pytest.approx(
        [0.2, 0.2 - half, 0.2 + half]
    )
    assert row["deviation"] == pytest.approx(0.1)
    assert row["p"] == row["corrected_p"] == pytest.approx(2 * t(2).sf(0.2 / 0.1 * 3**0.5))
    assert row["conclusion"] == "no difference shown"


def test_the_higher_of_a_pair_is_so_where_both_are_measured():
    row = pairs(pd.DataFrame({"a": [0.5, 0.6, 1.0], "b": [0.6, 0.8, NAN]})).iloc[0]
    assert (row["higher"], row["n"], row["difference"]) == ("b", 2, pytest.approx(0.15))


def test_all_pairs_are_corrected_together_as_holm_does():
    random = np.random.default_rng(0)
    qualities = pd.DataFrame(random.normal([0.9, 0.7, 0.69], 0.02, (6, 3)), columns=list("abc"))
    found = pairs(qualities)
    smallest, middle, largest = sorted(found["p"])
    assert sorted(found["corrected_p"]) == pytest.approx(
        [3 * smallest, max(3 * smallest, 2 * middle), max(2 * middle, largest)]
    )
    assert are_different(found) == {frozenset("ab"), frozenset("ac")}


def test_a_difference_that_counts_alone_may_not_count_among_many():
    row = {"a": [0.52, 0.53, 0.51, 0.54], "b": [0.50, 0.50, 0.50, 0.50]}
    alone = pairs(pd.DataFrame(row)).iloc[0]
    assert alone["conclusion"] == "different"
    others = {str(place): [0.5, 0.6, 0.4, 0.5 + place] for place in range(6)}
    among = pairs(pd.DataFrame(row | others)).set_index(["higher", "lower"])
    assert among.loc[("a", "b"), "p"] == alone["p"]
    assert among.loc[("a", "b"), "conclusion"] == "no difference shown"


@pytest.mark.parametrize(
    ("second", "conclusion"),
    [
        ([0.5, NAN, NAN], "not tested: fewer than two common seeds"),
        ([0.25, 0.5, 0.0], "not tested: the same difference for every seed"),
        ([0.5, 0.75, 0.25], "not tested: the same difference for every seed"),
    ],
)
def test_a_pair_that_cannot_be_tested_says_why_and_stays_in_the_family(second, conclusion):
    qualities = pd.DataFrame({"a": [0.5, 0.75, 0.25], "b": second, "c": [0.0, 0.25, -0.125]})
    found = pairs(qualities).set_index(["higher", "lower"])
    assert found.loc[("a", "b"), "conclusion"] == conclusion
    assert pd.isna(found.loc[("a", "b"), "corrected_p"])
    assert found.loc[("a", "c"), "corrected_p"] == pytest.approx(3 * found.loc[("a", "c"), "p"])


@pytest.mark.parametrize(
    ("qualities", "reason"),
    [
        ({}, "No combination is confirmed on test data yet."),
        ({"a": [0.5, 0.6]}, "Only a is confirmed: there is no pair to test yet."),
        ({"a": [0.5, NAN], "b": [0.5, 0.6]}, "No two combinations are confirmed on the same two"),
        ({"a": [0.5, 0.6], "b": [0.5, 0.6], "c": [NAN, NAN]}, ""),
    ],
)
def test_what_keeps_a_study_from_being_tested_is_said(qualities, reason):
    said = obstacle(pd.DataFrame(qualities, dtype=float))
    assert said.startswith(reason)
    assert bool(said) == bool(reason)


def test_an_empty_study_has_no_qualities_and_no_pairs():
    qualities = repeated_qualities(tables_of())
    assert qualities.empty
    assert pairs(qualities).empty


@pytest.fixture
def without_collections():
    """Statsmodels collects garbage at every correction; what is there already is not looked at."""
    gc.freeze()
    yield
    gc.unfreeze()


def simulated(random, arms, seeds, shared=0.0, deviation=0.005):
    """Qualities of arms that differ by nothing but chance, some of it shared by the arms."""
    own = random.normal(0, deviation, (seeds, arms))
    qualities = 0.7 + own + random.normal(0, shared, (seeds, 1))
    return pd.DataFrame(qualities, columns=list("abcd"[:arms]))


@pytest.mark.usefixtures("without_collections")
@pytest.mark.parametrize(("arms", "studies"), [pytest.param(2, 400, marks=everything), (4, 100)])
def test_studies_of_identical_arms_show_a_difference_in_five_percent(arms, studies):
    random = np.random.default_rng(0)
    samples = [simulated(random, arms, 5, shared=0.01) for _ in range(studies)]
    shown = sum(bool(are_different(pairs(sample))) for sample in samples)
    # Without correction four arms would show one in a fifth of the studies.
    assert binomtest(shown, studies, 0.05).pvalue > 0.01


@pytest.mark.usefixtures("without_collections")
def test_a_point_of_difference_is_found_at_the_seeds_recommended():
    random = np.random.default_rng(0)
    # Paired differences of deviation 0.005.
    seeds, deviation = seeds_needed(0.01, 0.005, 1), 0.005 / 2**0.5
    found = [pairs(simulated(random, 2, seeds, 0.01, deviation) + [0.01, 0.0]) for _ in range(100)]
    shown = [row.loc[0, ["conclusion", "higher"]].tolist() == ["different", "a"] for row in found]
    assert np.mean(shown) >= 0.8
