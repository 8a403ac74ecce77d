import json

import numpy as np
import pandas as pd
import pytest
import torch

from trainables.group_reading import GroupError, padded_groups

IMAGE = (1, 2, 3)
NO_NUMBERS = "row 1, point 0: must be 2 numbers, got text, null or lists of unequal lengths"


def image(start=0.0):
    return (start + np.arange(6.0)).reshape(IMAGE)


def test_groups_of_different_sizes_are_padded():
    points, mask = padded_groups([[[1, 2]], [[3, 4], [5, 6]]], (2,))
    assert points.tolist() == [[[1, 2], [0, 0]], [[3, 4], [5, 6]]]
    assert mask.tolist() == [[True, False], [True, True]]


@pytest.mark.parametrize("form", [(6,), (2, 3), (1, 2, 3)])
def test_an_image_may_be_flat_nested_or_without_its_single_channel(form):
    rows = [[image(0).reshape(form).tolist(), image(6).reshape(form).tolist()]]
    points, _ = padded_groups(rows, IMAGE)
    assert torch.equal(points, torch.arange(12.0).view(1, 2, *IMAGE))


def test_points_of_one_group_may_be_written_differently():
    points, _ = padded_groups([[image().reshape(-1).tolist(), image()[0].tolist()]], IMAGE)
    assert torch.equal(points[0, 0], points[0, 1])


def test_several_channels_are_all_needed():
    told = "row 0, point 0: must be 12 numbers, or nested 2 x 2 x 3, got 2 x 3"
    with pytest.raises(GroupError, match=told):
        padded_groups([[image()[0].tolist()]], (2, 2, 3))


def test_arrays_in_a_parquet_file_are_read(tmp_path):
    frame = pd.DataFrame({"points": [[image()[0].tolist()], [image(1)[0].tolist()] * 2]})
    frame.to_parquet(tmp_path / "groups.parquet")
    points, mask = padded_groups(pd.read_parquet(tmp_path / "groups.parquet")["points"], IMAGE)
    assert mask.sum() == 3
    assert torch.equal(points[1, 1], torch.arange(1.0, 7.0).view(IMAGE))


@pytest.mark.parametrize(
    ("group", "told"),
    [
        ([], "row 1: a group must be one or more points of 2 numbers, got none"),
        ("points", "row 1: a group must be one or more points of 2 numbers, got str"),
        (None, "row 1: a group must be one or more points of 2 numbers, got NoneType"),
        ([1.0, 2.0], "row 1, point 0: must be 2 numbers, got a single number"),
        ([[1, 2], [1, 2, 3]], "row 1, point 1: must be 2 numbers, got 3"),
        ([[1, "2"]], NO_NUMBERS),
        ([[1, None]], NO_NUMBERS),
        ([[1, [2]]], NO_NUMBERS),
        ([[1, 2], json.loads("[1, NaN]")], "row 1, point 1: must be finite as 32-bit floats"),
        ([json.loads("[1, -Infinity]")], "row 1, point 0: must be finite as 32-bit floats"),
        ([[1, 1e39]], "row 1, point 0: must be finite as 32-bit floats"),
    ],
)  # fmt: skip
def test_a_bad_group_is_refused_with_its_row_and_what_it_should_be(group, told):
    with pytest.raises(GroupError) as caught:
        padded_groups([[[0, 0]], group], (2,))
    assert str(caught.value).startswith(told)


def test_all_bad_rows_are_told_and_of_very_many_the_first():
    with pytest.raises(GroupError, match=r"row 0: .*; row 2: [^;]*$"):
        padded_groups([[], [[0, 0]], []], (2,))
    with pytest.raises(GroupError, match=r"row 4: [^;]*; and 3 more rows$"):
        padded_groups([[]] * 8, (2,))


def test_a_table_without_rows_is_refused():
    with pytest.raises(GroupError, match="there are no rows; send a row for each group"):
        padded_groups([], (2,))
