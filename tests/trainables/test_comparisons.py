import pytest
import torch

from trainables.comparisons import (
    ANCHORS,
    EVERY,
    WHOLE,
    compared,
    summed_in_tiles,
    to_positives,
)
from trainables.contracts import LabelledEmbeddings

LABELS = torch.tensor([0, 0, 1, 1, 1, 2])


def rows():
    torch.manual_seed(0)
    return LabelledEmbeddings(torch.randn(6, 3, dtype=torch.float64), LABELS)


def test_every_row_is_compared_with_every_other():
    given = rows()
    apart, positive, negative = compared(given)
    for one in range(6):
        for other in range(6):
            expected = (given.embeddings[one] - given.embeddings[other]).norm()
            torch.testing.assert_close(apart[one, other], expected)
            assert positive[one, other] == (one != other and LABELS[one] == LABELS[other])
            assert negative[one, other] == (LABELS[one] != LABELS[other])


@pytest.mark.parametrize("count", [WHOLE, WHOLE + 1])
def test_of_many_rows_only_a_tile_is_compared_at_once(count):
    torch.manual_seed(0)
    embeddings = torch.randn(count, 2, dtype=torch.float64, requires_grad=True)
    given = LabelledEmbeddings(embeddings, torch.arange(count) % 7)
    sizes = []

    def sums(rows, anchors):
        apart, positive, negative = compared(rows, anchors)
        sizes.append(len(apart))
        return (apart.square() * positive).sum(), (negative * (apart < 1)).sum()

    apart, positive, negative = compared(given)
    expected = ((apart.square() * positive).sum(), (negative * (apart < 1)).sum())
    found = summed_in_tiles(sums, given)
    torch.testing.assert_close(found, expected)
    gradients = [torch.autograd.grad(2 * total, embeddings)[0] for total, _ in (found, expected)]
    torch.testing.assert_close(*gradients)
    assert max(sizes) == (count if count <= WHOLE else ANCHORS)
    with torch.no_grad():
        torch.testing.assert_close(summed_in_tiles(sums, given), expected)


def check_positives(given, anchors, width):
    apart, positive, _ = compared(given, anchors)
    distances, exists = to_positives(given, anchors, apart, positive)
    assert distances.shape == exists.shape == (len(apart), width)
    for anchor in range(len(apart)):
        found = distances[anchor][exists[anchor]].sort().values
        torch.testing.assert_close(found, apart[anchor][positive[anchor]].sort().values)


def test_positives_are_taken_out_of_all_rows_where_some_are_anchors():
    check_positives(rows(), EVERY, 6)
    check_positives(rows(), slice(0, 4), 2)
    check_positives(rows(), slice(0, 2), 1)


@pytest.mark.parametrize("anchors", [EVERY, slice(0, 4), slice(4, 12)])
@pytest.mark.parametrize("class_size", [2, 3, 4, 6])
def test_positives_of_rows_class_by_class_are_known_beforehand(class_size, anchors):
    labels = torch.randperm(9)[torch.arange(12) // class_size]
    given = LabelledEmbeddings(torch.randn(12, 3), labels, class_size=class_size)
    check_positives(given, anchors, class_size - 1)


def test_classes_of_one_row_have_no_positives():
    given = LabelledEmbeddings(torch.randn(4, 3), torch.arange(4), class_size=1)
    apart, positive, _ = compared(given)
    assert not to_positives(given, EVERY, apart, positive)[1].any()


def test_rows_that_coincide_are_at_distance_0_and_have_no_gradient():
    embeddings = torch.full((6, 3), 1e4, requires_grad=True)
    apart = compared(LabelledEmbeddings(embeddings, LABELS)).apart
    apart.sum().backward()
    assert not apart.any()
    assert not embeddings.grad.any()
