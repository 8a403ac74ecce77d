import pytest

from analysis.figures.witness import MOST, data, draw, title
from tests.analysis.studies import tables_of, trial, witness

NAMES = [f"mlp+mean+loss{place}" for place in range(6)]


def of(count=1, **values):
    """Combinations from best to worst, each with one confirmation and its witness."""
    rows, points = [], []
    for place, name in enumerate(NAMES[:count]):
        rows.append(trial(combination=name, quality=0.9 - 0.1 * place))
        rows.append(trial(combination=name, phase="confirmation", seed=1, proposed_by=""))
        points += witness(rows[-1]["key"], "one", "one", "seven", **values)
    return data(tables_of(rows, witnesses=points))


def test_the_best_combinations_are_shown():
    assert of(6).points["combination"].unique().tolist() == NAMES[:MOST]


@pytest.mark.parametrize(
    ("excess", "told"),
    [
        (0.25, "places a point of one nearer to one of seven than to one of its own class, by 0.2"),
        (-0.1, "keeps every negative beyond every positive"),
    ],
)
def test_the_title_tells_what_the_triplet_says(excess, told):
    assert told in title(of(excess=excess))


@pytest.mark.parametrize("shape", [(1, 2, 3), (3, 2, 3)])
def test_images_are_drawn_as_images(shape):
    axes = draw(of(shape=shape)).axes
    assert [ax.get_title() for ax in axes] == ["anchor: one", "positive: one", "negative: seven"]
    assert all(len(ax.images) == 1 for ax in axes)
    assert axes[0].get_xlabel() == "2 × 3 pixels"


def test_other_points_are_drawn_as_their_features():
    ax = draw(of(shape=(5,))).axes[0]
    assert ax.lines[0].get_ydata().tolist() == [0.25] * 5
