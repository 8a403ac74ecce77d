import pytest
import torch
from torch import Generator

from trainables.grouping import TooFewGroupsError, draw_groups


def drawn(labels, size, natural_groups=None, seed=0):
    natural = None if natural_groups is None else torch.tensor(natural_groups)
    return draw_groups(torch.tensor(labels), natural, size, Generator().manual_seed(seed))


LABELS = [3, 0, 3, 0, 3, 0, 3, 7, 0, 3, 7, 3, 3, 9]
"""Seven points of class 3, four of class 0, two of class 7, one of class 9."""


@pytest.mark.parametrize(
    ("size", "groups", "left_out"),
    [(1, [0] * 4 + [3] * 7 + [7] * 2, 1), (2, [0] * 2 + [3] * 3, 2)],
)
def test_a_class_makes_as_many_groups_as_fit_and_is_left_out_below_two(size, groups, left_out):
    found = drawn(LABELS, size)
    assert found.labels.tolist() == groups
    assert found.left_out_classes == left_out


@pytest.mark.parametrize("seed", range(5))
def test_groups_are_disjoint_and_of_one_class(seed):
    found = drawn(LABELS, 2, seed=seed)
    assert found.members.unique().numel() == found.members.numel()
    assert (torch.tensor(LABELS)[found.members] == found.labels[:, None]).all()


def test_every_point_of_a_class_has_the_same_chance_in_every_place():
    places = torch.zeros(7, 6)
    for seed in range(600):
        members = drawn([0] * 7 + [1] * 4, 2, seed=seed).members[:3].flatten()
        places[members, torch.arange(6)] += 1 / 600
    torch.testing.assert_close(places, torch.full((7, 6), 1 / 7), rtol=0, atol=0.06)


def test_the_generator_decides():
    labels = [0] * 40 + [1] * 40
    first, again, other = (drawn(labels, 5, seed=seed).members for seed in (1, 1, 2))
    assert first.equal(again)
    assert not first.equal(other)


@pytest.mark.parametrize("natural", [[0, 0, 0, 1, 1, 1, 2], [0, 0, 0, 5, 5, 5, 6]])
def test_every_natural_group_that_is_large_enough_makes_one_group(natural):
    labels = [0] * 7 + [1] * 7
    found = drawn(labels, 2, natural_groups=natural + natural)
    numbers = torch.tensor(natural + natural)[found.members]
    assert found.labels.tolist() == [0, 0, 1, 1]
    assert (numbers == numbers[:, :1]).all()
    assert numbers[:, 0].tolist() == [natural[0], natural[3]] * 2


def test_a_class_with_one_natural_group_is_left_out():
    found = drawn([0] * 4 + [1] * 4 + [2] * 4, 2, natural_groups=[0, 0, 1, 1] * 2 + [0, 0, 0, 0])
    assert found.labels.tolist() == [0, 0, 1, 1]
    assert found.left_out_classes == 1


def test_groups_that_cannot_be_compared_are_refused():
    with pytest.raises(TooFewGroupsError) as caught:
        drawn(LABELS, 3)
    assert caught.value.size == 3
    assert str(caught.value) == (
        "two classes must each make two groups of size 3, got 1 such classes; "
        "evaluate smaller groups or hold out more points"
    )
