import pytest
import torch

from trainables.pairs import same_class_pairs


@pytest.mark.parametrize("largest", [1, 7, 1000])
def test_every_pair_of_one_class_appears_once_in_order(largest):
    labels = torch.tensor([2, 0, 2, 5, 0, 2, 2, 0])
    chunks = list(same_class_pairs(labels, largest))
    pairs = [
        pair for one, other in chunks for pair in zip(one.tolist(), other.tolist(), strict=True)
    ]
    assert pairs == [
        (first, second)
        for label in (0, 2, 5)
        for first in range(8)
        for second in range(first + 1, 8)
        if labels[first] == labels[second] == label
    ]


def test_chunks_of_pairs_have_about_the_size_asked_for():
    sizes = [len(first) for first, _ in same_class_pairs(torch.zeros(100).long(), 300)]
    assert sum(sizes) == 4950
    assert max(sizes) <= 300
