"""The picture of one trial's bound gap."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

TABLE = {
    "size": [3, 3, 1],
    "distance": [1.0, 3.0, 9.0],
    "scale": [2.0, 2.0, 2.0],
    "t4": [2.0, 2.0, 2.0],
    "t1_prime": [4.0, 4.0, 4.0],
    "t1": [6.0, 6.0, 6.0],
}


@pytest.fixture
def save(tmp_path):
    def save(**columns):
        pq.write_table(pa.table({**TABLE, **columns}), tmp_path / "bounds.parquet")
        return tmp_path / "bounds.parquet"

    return save


def test_pairs_are_those_of_one_size_in_units_of_the_scale(save):
    from study.gap_picture import pairs

    found = pairs(save(), 3)
    assert found.distance.tolist() == [0.5, 1.5]
    assert found.bounds["t1"].tolist() == [3.0, 3.0]
    assert found.violations == 1


def test_dots_have_the_colours_of_their_bounds(save):
    from PIL import ImageColor

    from analysis.figures.distances_and_bounds import BOUND_LOOKS
    from study.gap_picture import FRAME, draw, pairs

    counted = draw(pairs(save(), 3), 3).crop(FRAME).getcolors()
    seen = {colour for _, colour in counted}
    assert {ImageColor.getrgb(look.colour) for look in BOUND_LOOKS.values()} <= seen


def test_a_trial_without_bounds_still_has_a_picture(save):
    from study.gap_picture import PIXELS, draw, pairs

    nothing = [np.nan] * 3
    found = pairs(save(t4=nothing, t1_prime=nothing, t1=nothing), 3)
    assert found.bounds == {}
    assert draw(found, 3).size == PIXELS


def test_a_size_that_was_not_measured_has_an_empty_picture(save):
    from study.gap_picture import PIXELS, draw, pairs

    assert draw(pairs(save(), 7), 7).size == PIXELS
