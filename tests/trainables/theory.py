"""Points of length 1 for the tests of docs/theory.md: random ones, and ones that defy it."""

import torch
from torch.nn.functional import normalize

from trainables.contracts import LabelledEmbeddings
from trainables.distances import exact_distances
from trainables.margin import group_margin

SPREADS = [0.05, 0.3, 1.0, 5.0]
"""Noise around the centres of the classes, from a real margin to none."""


def unit_rows(spread, classes=4, each=4, width=5):
    """Classes about random directions, and their labels."""
    labels = torch.arange(classes).repeat_interleave(each)
    centres = torch.randn(classes, width, dtype=torch.float64)
    noise = torch.randn(len(labels), width, dtype=torch.float64)
    return normalize(centres[labels] + spread * noise), labels


def margins(rows, labels):
    """``m*`` and the squared margin of single points."""
    alone = torch.ones(len(rows), 1, dtype=torch.bool)
    found = group_margin(rows[:, None], alone, labels)
    return found.m_star.item(), found.m_squared.item()


def ordered_pairs(labels):
    """Anchors and positives."""
    same = labels[:, None] == labels
    return (same & ~torch.eye(len(labels), dtype=torch.bool)).nonzero(as_tuple=True)


def nearest_negatives(rows, labels):
    """delta of every row."""
    apart = exact_distances(rows, rows)
    return apart.masked_fill(labels[:, None] == labels, torch.inf).amin(1)


def excess_over_nearest(rows, labels):
    """``d(a, p) - min(delta_a, delta_p)`` of every unordered pair of one class."""
    anchors, positives = ordered_pairs(labels)
    once = anchors < positives
    anchors, positives = anchors[once], positives[once]
    delta = nearest_negatives(rows, labels)
    apart = (rows[anchors] - rows[positives]).norm(dim=1)
    return apart - torch.minimum(delta[anchors], delta[positives])


def value(loss, rows, labels, second=None):
    """What one of our losses makes of rows."""
    with torch.no_grad():
        return loss.compare(LabelledEmbeddings(rows, torch.as_tensor(labels), second))


def pushed(objective, rows, steps=80, rate=0.1):
    """Rows of length 1 that gradient ascent has moved to where the objective is largest."""
    free = rows.clone().requires_grad_()
    optimizer = torch.optim.Adam([free], lr=rate, maximize=True)
    best, found = -torch.inf, rows
    for _ in range(steps):
        unit = normalize(free)
        reached = objective(unit)
        if reached.item() > best:
            best, found = reached.item(), unit.detach().clone()
        optimizer.zero_grad()
        reached.backward()
        optimizer.step()
    return found
