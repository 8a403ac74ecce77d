"""Which points make up the groups that an evaluation compares."""

from typing import NamedTuple, final

import torch
from jaxtyping import Int
from torch import Generator, Tensor


@final
class TooFewGroupsError(ValueError):
    """Points that make too few groups to compare.

    Args:
        size: points per group.
        classes: how many classes make two groups of that size.
    """

    def __init__(self, size: int, classes: int) -> None:
        super().__init__(
            f"two classes must each make two groups of size {size}, got {classes} such classes; "
            "evaluate smaller groups or hold out more points"
        )
        self.size = size


class Groups(NamedTuple):
    """Disjoint groups, ordered by class: who is in them, their classes, and what is missing.

    ``left_out_classes`` counts the classes that make fewer than two groups and so have none here.
    """

    members: Int[Tensor, "groups points"]
    labels: Int[Tensor, " groups"]
    left_out_classes: int


def draw_groups(
    labels: Int[Tensor, " rows"],
    natural_groups: Int[Tensor, " rows"] | None,
    size: int,
    generator: Generator,
) -> Groups:
    """Draws disjoint groups of exactly ``size`` points of one class.

    A class of n shuffled points makes floor(n / size) groups; with natural groups, each of them
    that has ``size`` points makes one. Points that are left over are in no group.

    Args:
        labels: class index of each point.
        natural_groups: natural group of each point, numbered within its class or over all, or None.
        size: points per group, at least 1.
        generator: source of the shuffles, on the CPU.

    Raises:
        TooFewGroupsError: if fewer than two classes make two groups.
    """
    pool = labels if natural_groups is None else _numbered(labels, natural_groups)
    order = torch.randperm(len(labels), generator=generator).to(labels.device)
    order = order[pool[order].argsort(stable=True)]
    counts = pool.bincount()
    groups = counts // size if natural_groups is None else (counts >= size).long()
    place = torch.arange(len(order), device=order.device) - (counts.cumsum(0) - counts)[pool[order]]
    members = order[place < (groups * size)[pool[order]]].view(-1, size)
    of_class = labels[members[:, 0]].bincount(minlength=int(labels.max()) + 1)
    kept = of_class[labels[members[:, 0]]] > 1
    classes = int((of_class > 1).sum())
    if classes < 2:
        raise TooFewGroupsError(size, classes)
    left_out = int((labels.bincount() > 0).sum()) - classes
    return Groups(members[kept], labels[members[kept, 0]], left_out)


def _numbered(
    labels: Int[Tensor, " rows"], natural_groups: Int[Tensor, " rows"]
) -> Int[Tensor, " rows"]:
    """Natural groups numbered over all classes, ascending with the class."""
    both = torch.stack([labels, natural_groups], 1)
    numbers: Tensor = torch.unique(both, dim=0, return_inverse=True)[1]
    return numbers
