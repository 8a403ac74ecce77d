from analysis.figures.group_map import data, draw, title
from analysis.tables import RAW
from tests.analysis.studies import mapped, tables_of, trial

BEST = trial()


def of(*runs, maps):
    groups = [mapped(key, name, 0.0, 1.0) for key in maps for name in ("one", "two")]
    return data(tables_of([BEST, *runs], maps=groups))


def run_of(phase, seed):
    """A run of the best trial on the test points."""
    row = dict(BEST) | {"phase": phase, "seed": seed, "proposed_by": ""}
    return row | {"key": f"{BEST['key']}-{phase}-{seed}"}


def test_before_and_after_are_of_one_seed_beside_the_raw_points():
    runs = [run_of(phase, seed) for phase in ("confirmation", "untrained") for seed in (7, 8)]
    keys = [run["key"] for run in runs if run["seed"] == 8 or run["phase"] == "untrained"]
    found = of(*runs, maps=[RAW, *keys]).groups
    assert set(found["panel"]) == {"raw points", "untrained", "trained"}
    assert len(found) == 6


def test_a_panel_that_is_not_there_is_left_out():
    found = of(run_of("confirmation", 7), maps=[run_of("confirmation", 7)["key"]])
    (ax,) = draw(found).axes
    assert ax.get_title() == "trained"
    assert ax.get_xlabel() == "first two components: 50% of variance"


def test_the_title_counts_classes():
    found = of(run_of("confirmation", 7), maps=[run_of("confirmation", 7)["key"]])
    assert title(found) == "Groups of 2 test classes, as mlp+mean+triplet places them"
