import pytest
import torch

from trainables.comparisons import (
    ANCHORS,
    EVERY,
    WHOLE,
    compared,
    hinge_sums,
    negatives_below,
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


def some_limits(count):
    """Whole numbers, so that some negatives are at the limit exactly, and what each counts."""
    source = torch.Generator().manual_seed(1)
    limits = torch.randint(0, 6, (6, count), generator=source).double()
    return limits, torch.randint(-1, 2, (6, count), generator=source).double()


def whole_distances():
    return torch.randint(0, 5, (6, 6), generator=torch.Generator().manual_seed(0)).double()


@pytest.mark.parametrize("count", [1, 6, 9])
def test_negatives_are_counted_that_are_nearer_than_the_limits(count):
    apart, negative = whole_distances(), LABELS[:, None] != LABELS
    limits, counts = some_limits(count)
    below = negatives_below(apart, negative, limits, counts)
    hit = (negative[:, None] & (apart[:, None] < limits[:, :, None])) * counts[:, :, None]
    assert hit.any()
    assert torch.equal(below.nearer, hit.sum(2))
    assert torch.equal(below.limits, hit.sum(1))


@pytest.mark.parametrize("count", [1, 6, 9])
def test_sums_of_hinges_and_their_gradients_are_those_of_all_pairs(count):
    apart, negative = whole_distances().requires_grad_(), LABELS[:, None] != LABELS
    limits, counts = some_limits(count)
    limits.requires_grad_()
    found = hinge_sums(negatives_below(apart, negative, limits, counts), limits, apart)
    hinges = (limits[:, :, None] - apart[:, None]).relu() * negative[:, None]
    expected = (hinges * counts[:, :, None]).sum((1, 2))
    assert torch.equal(found, expected)
    weights = torch.arange(1.0, 7.0).double()
    gradients = [torch.autograd.grad(weights @ sums, (apart, limits)) for sums in (found, expected)]
    for one, other in zip(*gradients, strict=True):
        assert torch.equal(one, other)


def test_without_negatives_there_is_nothing_to_count():
    none = torch.zeros(3, 3, dtype=torch.bool)
    below = negatives_below(torch.ones(3, 3), none, torch.full((3, 1), 9.0), torch.ones(3, 1))
    assert not below.nearer.any()
    assert not below.limits.any()
