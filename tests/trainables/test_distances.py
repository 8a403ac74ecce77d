import math

import pytest
import torch

from trainables.distances import (
    comparable_distances,
    exact_distances,
    prepared,
    squared_distances,
)


def cloud(kind, seed=0, rows=60, width=5):
    """Embeddings around the origin; some are near others, all are, or one is far from all."""
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(rows, width, generator=generator, dtype=torch.float64)
    if kind == "some near":
        points[1::20] = points[::20] * (1 + 1e-7)
    if kind == "all near":
        points = 1 + 1e-7 * points
    if kind == "one far":
        points[7] *= 1e8
    return points


def by_products(rows, columns):
    return squared_distances(prepared(rows), prepared(columns)).squares.sqrt()


@pytest.mark.parametrize("kind", ["spread", "some near", "all near", "one far"])
@pytest.mark.parametrize("measure", [by_products, exact_distances])
def test_distances_have_a_small_relative_error(kind, measure):
    points = cloud(kind)
    expected = [[math.dist(one, other) for other in points.tolist()] for one in points.tolist()]
    found = measure(points, points)
    torch.testing.assert_close(
        found, torch.tensor(expected, dtype=torch.float64), rtol=1e-11, atol=0
    )


@pytest.mark.parametrize("kind", ["spread", "all near", "one far"])
@pytest.mark.parametrize("measure", [by_products, exact_distances])
def test_duplicates_are_at_distance_zero(kind, measure):
    points = cloud(kind)
    assert (measure(points, points).diagonal() == 0).all()


def test_equal_exact_distances_are_equal():
    points = cloud("spread")
    whole = exact_distances(points, points)
    assert whole.equal(whole.T)
    assert whole[3:5, 40:].equal(exact_distances(points[3:5], points[40:]))


@pytest.mark.parametrize("kind", ["spread", "some near", "one far"])
def test_comparable_distances_are_in_the_order_of_distances(kind):
    points = cloud(kind)
    tile = comparable_distances(points)(slice(10, 20), slice(5, None))
    expected = exact_distances(points[10:20], points[5:])
    torch.testing.assert_close(tile.sqrt(), expected, rtol=1e-11, atol=0)


def test_tiles_hold_the_distance_that_is_given():
    points = cloud("spread")
    tile = comparable_distances(points, lambda rows, columns: 2 * by_products(rows, columns))
    expected = 2 * by_products(points[10:20], points[5:])
    assert tile(slice(10, 20), slice(5, None)).equal(expected)
